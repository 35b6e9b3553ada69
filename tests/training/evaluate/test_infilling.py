from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from training.evaluate import EvaluationError
from training.evaluate.infilling import load_tasks, recut, sample

from .scripted import ADD, HOLES, TWICE, task, write_tasks

texts = st.text(alphabet="ab \t\n", max_size=12)


@pytest.mark.parametrize("name", ["tasks.jsonl", "tasks.jsonl.gz"])
def test_tasks_are_read_zipped_or_not(tmp_path: Path, name: str) -> None:
    found = load_tasks(write_tasks(tmp_path / name))
    assert [hole.name for hole in found] == ["add", "twice", "nothing"]
    assert {hole.set for hole in found} == {"tasks"}
    assert found[0].text == ADD.text
    assert found[0].check == ADD.check
    assert found[2].check is None


@pytest.mark.parametrize(
    "line", ["no json", "[1]", json.dumps({"task_id": "x"}), json.dumps({**task(ADD), "prompt": 3})]
)
def test_a_file_of_something_else_is_refused_by_name(tmp_path: Path, line: str) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text(line + "\n")
    with pytest.raises(EvaluationError, match=r"tasks\.jsonl"):
        load_tasks(file)


def test_a_broken_archive_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "tasks.jsonl.gz"
    file.write_bytes(b"\x1f\x8b\x08 broken")
    for path in (file, tmp_path / "missing.jsonl"):
        with pytest.raises(EvaluationError):
            load_tasks(path)


def test_after_the_indentation_the_line_break_stays_in_the_suffix() -> None:
    hole = evolve(ADD, prefix="def add(a, b):\n", middle="    return a + b\n", suffix="\nx = 1\n")
    assert hole.start_kind == "column_0"
    moved = recut(hole, "indentation")
    assert moved.start_kind == "indentation"
    assert (moved.middle, moved.suffix) == ("return a + b", "\n\nx = 1\n")
    assert recut(hole, "benchmark") is hole


@pytest.mark.parametrize("middle", ["    \n", "\n    x = 1\n", ""])
def test_a_middle_without_a_first_line_stays_as_it_is(middle: str) -> None:
    hole = evolve(ADD, prefix="x:\n", middle=middle)
    assert recut(hole, "indentation") is hole


@given(texts, texts, texts)
def test_recutting_never_changes_the_document(prefix: str, middle: str, suffix: str) -> None:
    hole = evolve(ADD, prefix=prefix, middle=middle, suffix=suffix)
    assert recut(hole, "indentation").text == hole.text


def test_a_larger_sample_holds_the_smaller_one() -> None:
    holes = tuple(evolve(ADD, name=str(number)) for number in range(50))
    few, many = sample(holes, 10, 1), sample(holes, 20, 1)
    assert len(few) == 10
    assert set(few) < set(many)
    assert [int(hole.name) for hole in many] == sorted(int(hole.name) for hole in many)
    assert sample(holes, 10, 2) != few
    assert sample(holes, None, 1) == sample(holes, 99, 1) == holes


def test_programs_put_the_text_where_the_middle_was() -> None:
    program = ADD.program("return 0")
    assert program is not None
    assert "    return 0\n\n\ndef other" in program
    assert program.endswith("check(add)\n")
    replacing = evolve(TWICE, suffix=")\n").program("(a)", replaced=1)
    assert replacing is not None
    assert "(a)\n\ndef check" in replacing
    assert HOLES[2].program("") is None


def test_lines_count_those_with_text() -> None:
    assert [hole.lines for hole in HOLES] == [1, 2, 0]
