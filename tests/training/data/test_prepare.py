from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from byte_base import make_base
from repositories import commit, module, write

from training.__main__ import main
from training.bases import Base
from training.config import make_recipe
from training.data import DataError
from training.data.dataset import DataSet
from training.data.prepare import prepare as prepare_data
from training.data.sources import open_sources

_FLAGS = {"rows": 60, "held_out_rows": 12, "min_tokens": 32, "max_tokens": 512, "held_out_share": 0.2}


def _prepare(root: Path, output: Path, base: Base, stage: str = "b", **flags: object) -> DataSet:
    recipe = make_recipe(flags={"stage": stage, "data": {**_FLAGS, **flags}})
    return prepare_data(open_sources((root,), own=True), base, recipe, output)


def test_a_repository_becomes_a_data_set(repository: Path, tmp_path: Path, base: Base):
    for day in range(1, 5):
        text = module("apple").replace(f"def apple_{day}", f"PRICE_{day} = {day}\n\n\ndef apple_{day}")
        commit(repository, {"apple/core.py": text}, 1_700_000_000 + 86_400 * day)
    found = _prepare(repository, tmp_path / "data", base, history_share=0.5, seed=3, max_tokens=4000)
    assert (len(found.train), len(found.held_out)) == (60, 12)
    counts = found.manifest["rows"]["train"]
    assert counts["by_kind"]["history"] > 0
    assert counts["by_kind"]["left_to_right"] > 5
    assert counts["with_snippets"] > 5
    assert 0 < counts["middle_tokens"] < counts["supervised_tokens"] < counts["tokens"]
    assert found.manifest["base"]["template"] == "fim-lsp"
    (source,) = found.manifest["sources"]
    assert (source["name"], source["licence"], source["files"]) == ("shop", "own", 10)


def test_no_token_of_a_held_out_file_is_trained_on(repository: Path, tmp_path: Path, base: Base):
    found = _prepare(repository, tmp_path / "data", base, context_rate=1.0, history_share=0.0)
    names = [unit.rpartition("/")[2] for unit in found.manifest["split"]["held_out"]]
    assert names
    for row in found.train:
        text = base.tokenizer.decode(tuple(map(int, row.tokens)))
        assert not any(f"def {name}_" in text for name in names)


def test_the_same_inputs_and_seed_give_the_same_bytes(repository: Path, tmp_path: Path, base: Base):
    for name in "ab":
        _prepare(repository, tmp_path / name, base)
    _prepare(repository, tmp_path / "other", base, seed=9)
    files = [file.relative_to(tmp_path / "a") for file in (tmp_path / "a").rglob("*") if file.is_file()]
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)
    tokens = Path("train/tokens.npy")
    assert (tmp_path / "a" / tokens).read_bytes() != (tmp_path / "other" / tokens).read_bytes()


def test_stage_a_asks_for_the_format_alone(repository: Path, tmp_path: Path, base: Base):
    found = _prepare(repository, tmp_path / "data", base, stage="a")
    counts = found.manifest["rows"]["train"]
    assert counts["with_snippets"] == 0
    assert "history" not in counts["by_kind"]
    assert counts["by_kind"].get("left_to_right", 0) < 15


@pytest.mark.parametrize("template", ["qwen", "seed-coder"])
def test_other_layouts_are_prepared_alike(repository: Path, tmp_path: Path, template: str):
    found = _prepare(repository, tmp_path / "data", make_base(template))
    assert len(found.train) == 60


def test_a_repository_too_small_for_a_row_is_refused(tmp_path: Path, base: Base):
    write(tmp_path / "shop", {"a.py": "def apple():\n" + "    banana = 1\n" * 10})
    with pytest.raises(DataError, match="No row could be made of 1 files"):
        _prepare(tmp_path / "shop", tmp_path / "data", base, min_tokens=400)


def test_a_small_repository_gives_the_rows_it_has(tmp_path: Path, base: Base):
    write(tmp_path / "shop", {"a.py": module("apple", 2)})
    found = _prepare(tmp_path / "shop", tmp_path / "data", base, rows=None)
    assert 0 < len(found.train) <= 64
    assert len(found.held_out) == 0


@pytest.fixture
def any_base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.bases.open_base", lambda path, template: make_base())


@pytest.mark.usefixtures("any_base")
def test_the_command_prints_what_came_out(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    output = tmp_path / "data"
    flags = ["--base", "b.gguf", "--output", str(output), "--rows", "20", "--seed", "5"]
    assert main(["prepare", "--repo", str(repository), "--own", *flags]) == 0
    printed = capsys.readouterr().err
    assert "supervised tokens" in printed
    assert "10 files seen" in printed
    assert (output / "manifest.json").is_file()


@pytest.mark.usefixtures("any_base")
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "Give a repository with --repo"),
        (["--repo", "{tmp}/gone"], "There is no repository at"),
        (["--repo", "{tmp}"], "There are no files"),
        (["--repo", "{tmp}", "--recipe", "{tmp}/gone.toml"], "can't be read"),
        (["--repo", "{tmp}", "--rows", "0"], "rows must be at least 1"),
        (["--repo", "{tmp}", "--decontaminate", "{tmp}/gone.jsonl"], "gone.jsonl can't be read"),
    ],
)
def test_bad_input_is_said_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
):
    arguments = [flag.format(tmp=tmp_path) for flag in flags]
    assert main(["prepare", "--base", "b.gguf", "--output", str(tmp_path / "out"), *arguments]) == 1
    assert message in capsys.readouterr().err


def test_help_is_instant_and_loads_nothing_heavy():
    code = "import sys\nfrom training.__main__ import make_parser\nmake_parser().format_help()\n"
    code += "print({'torch', 'numpy', 'llama_cpp', 'transformers', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
