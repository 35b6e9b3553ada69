from __future__ import annotations

from pathlib import Path

import pytest

from training.record import RecordError, RunRecord, differences, open_record, run_stage


@pytest.fixture
def record(tmp_path: Path) -> RunRecord:
    return open_record(tmp_path / "run.json", {"base": "a", "recipe": {"rank": 4}})


def stages(record: RunRecord, lines: list[str]) -> RunRecord:
    """Three stages that each write a file."""
    folder = record.path.parent
    for name in ("first", "second", "third"):

        def work(file: Path = folder / f"{name}.txt") -> tuple[dict[str, str], tuple[Path, ...]]:
            file.write_text(file.stem)
            return {"wrote": file.name}, (file,)

        record = run_stage(record, name, work, lines.append)
    return record


def test_stages_are_done_once(record: RunRecord) -> None:
    done = stages(record, [])
    again = open_record(record.path, record.options)
    assert again.stages == done.stages
    lines: list[str] = []
    stages(again, lines)
    assert lines == ["first: already done", "second: already done", "third: already done"]
    assert again.result("second") == {"wrote": "second.txt"}


@pytest.mark.parametrize("harm", [Path.unlink, lambda file: file.write_text("other")])
def test_a_stage_whose_file_changed_is_repeated_with_the_stages_after_it(record: RunRecord, harm) -> None:
    stages(record, [])
    harm(record.path.with_name("second.txt"))
    lines: list[str] = []
    again = stages(open_record(record.path, record.options), lines)
    assert lines == ["first: already done", "second …", "third …"]
    assert list(again.stages) == ["first", "second", "third"]


def test_a_stage_that_fails_is_not_entered(record: RunRecord) -> None:
    def work() -> tuple[dict[str, str], tuple[Path, ...]]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        run_stage(record, "first", work, lambda _: None)
    assert open_record(record.path, record.options).stages == {}


def test_other_options_are_named(record: RunRecord) -> None:
    with pytest.raises(
        RecordError, match=r"other options: base was a and is b; recipe\.rank was 4 and is 8\."
    ):
        open_record(record.path, {"base": "b", "recipe": {"rank": 8}})
    assert differences({"seed": 1}, {"seed": 1, "cut": 2}) == ["cut was nothing and is 2"]


def test_a_damaged_record_is_refused(record: RunRecord) -> None:
    record.path.write_text("{")
    with pytest.raises(RecordError, match=r"run\.json can't be read.*another --output"):
        open_record(record.path, record.options)
