from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import fim_lsp
from fim_lsp.engine.scripted import ByteTokenizer
from fim_lsp.prompt.templates import find_template
from training.bases import Base
from training.config import make_recipe
from training.data.prepare import prepare
from training.data.sources import open_sources
from training.evaluate import EvaluationError
from training.evaluate.cuts import cut_held_out, cut_repository

_CODE = '''"""Numbers of the kind {name}."""


def {name}_total(values):
    total = 0
    for value in values:
        if value > {name}_limit(value):
            total += value
    return total


def {name}_limit(value):
    return value * 2 + len("{name}")
'''


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "numbers"
    for name in ("red", "green", "blue"):
        (root / name).mkdir(parents=True)
        (root / name / "code.py").write_text(_CODE.format(name=name))
    (root / "node_modules").mkdir()
    (root / "node_modules" / "other.js").write_text("export const a = 1;\n" * 20)
    (root / "broken.py").write_bytes(b"\xff\xfe" * 200)
    return root


def test_every_file_is_cut_in_turn_and_nothing_else(repository: Path) -> None:
    holes = cut_repository(repository, 30, seed=0)
    assert len(holes) == len({hole.name for hole in holes}) == 30
    assert {hole.path for hole in holes[:3]} == {f"{name}/code.py" for name in ("red", "green", "blue")}
    assert {hole.set for hole in holes} == {"numbers"}
    for hole in holes:
        assert hole.text == (repository / hole.path).read_text()


def test_the_same_seed_cuts_the_same_holes(repository: Path) -> None:
    assert cut_repository(repository, 20, seed=3) == cut_repository(repository, 20, seed=3)
    assert cut_repository(repository, 20, seed=3) != cut_repository(repository, 20, seed=4)
    assert cut_repository(repository, 10, seed=3) == cut_repository(repository, 20, seed=3)[:10]


def test_cursors_stand_in_many_kinds_of_places(repository: Path) -> None:
    kinds = {hole.start_kind for hole in cut_repository(repository, 90, seed=0)}
    assert {"column_0", "indentation", "line_end", "mid_line"} <= kinds


def test_a_folder_without_code_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(EvaluationError, match="no code"):
        cut_repository(tmp_path, 3, seed=0)
    with pytest.raises(EvaluationError, match="no repository"):
        cut_repository(tmp_path / "missing", 3, seed=0)


def test_a_folder_that_is_no_data_set_is_refused(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no data set"):
        cut_held_out((repository,), tmp_path, 3, seed=0)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(EvaluationError, match="lacks"):
        cut_held_out((repository,), tmp_path, 3, seed=0)


def test_only_what_a_data_set_held_out_is_cut(tmp_path: Path) -> None:
    code, dataset = tmp_path / "code", tmp_path / "data"
    for room in ("engine", "prompt"):
        shutil.copytree(Path(fim_lsp.__file__).parent / room, code / room)
    base = Base("bytes", Path("bytes.gguf"), ByteTokenizer(), find_template("qwen"), 262, 264, "0" * 64)
    prepared = prepare(
        open_sources((code,), own=True), base, make_recipe(flags={"data": {"rows": 8}}), dataset
    )
    held_out = tuple(f"{unit.removeprefix('code/')}" for unit in prepared.manifest["split"]["held_out"])
    holes = cut_held_out((code,), dataset, 20, seed=0)
    assert holes
    assert all(hole.path.startswith(held_out) for hole in holes)
    (code / "engine" / "new.py").write_text((code / "engine" / "base.py").read_text()[:900])
    with pytest.raises(EvaluationError, match="as it stands"):
        cut_held_out((code,), dataset, 20, seed=0)
