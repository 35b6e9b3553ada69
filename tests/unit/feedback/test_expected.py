"""What the user expected is kept as a case that an evaluation can read."""

from __future__ import annotations

import json
import sys

import pytest

from fim_lsp.cli import main
from fim_lsp.feedback.expected import (
    ExpectedError,
    ExpectedSuggestion,
    count_expected,
    expected_path,
    record_expected,
)
from training.evaluate.infilling import load_tasks

CODE = "def f(a):\n    return a + 1\n\n\nprint(f(1))\n"
START, END = CODE.index("a + 1"), CODE.index("a + 1") + len("a + 1")


def case() -> ExpectedSuggestion:
    return ExpectedSuggestion.of("a.rs", "rust", CODE, START, END)


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("FIM_LSP_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def test_a_case_is_a_hole_of_an_evaluation(state):
    assert record_expected(expected_path(), case()) == 1
    assert record_expected(expected_path(), case()) == 2
    first, second = load_tasks(expected_path())
    assert (first.prefix, first.middle, first.suffix) == (CODE[:START], "a + 1", CODE[END:])
    assert (first.path, first.language) == ("a.rs", "rust")
    assert first.name != second.name


@pytest.mark.skipif(sys.platform == "win32", reason="modes are those of POSIX")
def test_only_the_user_may_read_it(state):
    record_expected(expected_path(), case())
    assert expected_path().stat().st_mode & 0o777 == 0o600


def test_a_blank_or_long_text_is_refused():
    with pytest.raises(ExpectedError, match="no text"):
        ExpectedSuggestion.of("a.py", "python", CODE, 9, 13)
    with pytest.raises(ExpectedError, match="at most 4000"):
        ExpectedSuggestion.of("a.py", "python", "x" * 5000, 0, 5000)


def test_a_large_document_is_cut_around_the_text():
    document = "a" * 100_000 + "text" + "b" * 100_000
    expected = ExpectedSuggestion.of("a.py", "python", document, 100_000, 100_004)
    assert (expected.text, len(expected.prefix), len(expected.suffix)) == ("text", 20_000, 20_000)


def test_the_command_counts_exports_and_deletes(state, tmp_path, capsys):
    record_expected(expected_path(), case())
    assert main(["expected"]) == 0
    assert capsys.readouterr().out.startswith("1 expected")
    export = tmp_path / "cases.jsonl"
    assert main(["expected", "--export", str(export)]) == 0
    assert json.loads(export.read_text())["canonical_solution"] == "a + 1"
    assert main(["expected", "--clear"]) == 0
    assert count_expected(expected_path()) == 0
    assert main(["expected", "--clear"]) == 0


def test_a_file_that_can_not_be_written_is_named(state, tmp_path, capsys):
    record_expected(expected_path(), case())
    assert main(["expected", "--export", str(tmp_path / "nowhere" / "x" / "cases.jsonl")]) in (0, 1)
    (tmp_path / "file").write_text("")
    assert main(["expected", "--export", str(tmp_path / "file" / "cases.jsonl")]) == 1
    assert "Choose another file" in capsys.readouterr().err
