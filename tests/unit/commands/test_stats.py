from __future__ import annotations

import pytest

from fim_lsp.cli import main
from fim_lsp.commands.stats import bar, milliseconds, percent, sparkline
from fim_lsp.feedback.store import FeedbackStore, feedback_path
from tests.unit.feedback.test_store import RECORD


@pytest.fixture
def counted(monkeypatch, tmp_path):
    """Provide a feedback file with one suggestion; how many are in it."""
    monkeypatch.setenv("FIM_LSP_STATE", str(tmp_path))

    def count() -> int:
        store = FeedbackStore(feedback_path())
        try:
            return len(store.records())
        finally:
            store.close()

    store = FeedbackStore(feedback_path())
    store.add(RECORD)
    store.close()
    return count


@pytest.mark.parametrize(("answer", "left"), [("", 1), ("n", 1), ("y", 0), ("YES", 0)])
def test_at_a_terminal_clear_asks(counted, monkeypatch, answer, left):
    questions = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: questions.append(question) or answer)
    assert main(["stats", "--clear"]) == left
    assert counted() == left
    assert "1 suggestions" in questions[0]


def test_yes_is_not_asked(counted, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert main(["stats", "--clear", "--yes"]) == 0
    assert counted() == 0


def test_json_and_clear_exclude_each_other(counted):
    with pytest.raises(SystemExit):
        main(["stats", "--clear", "--json"])
    assert counted() == 1


def test_cells():
    assert [percent(None), percent(0.256), milliseconds(None), milliseconds(1234.5)] == [
        "-",
        "26%",
        "-",
        "1,234",
    ]
    assert [bar(None), bar(0.01), bar(0.5), bar(1)] == ["", "▏", "█████", "██████████"]
    assert sparkline([0, 50, 100]) == "▁▅█"
    assert sparkline([0, 0]) == "▁▁"
