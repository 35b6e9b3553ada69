from __future__ import annotations

import json

import pytest

from fim_lsp.cli import main
from fim_lsp.feedback.store import FeedbackStore, feedback_path
from tests.unit.feedback.test_comparison import record


@pytest.fixture(autouse=True)
def two_arms(monkeypatch, tmp_path):
    monkeypatch.setenv("FIM_LSP_STATE", str(tmp_path))
    store = FeedbackStore(feedback_path())
    for bucket in range(60):
        for arm, accepted in (("plain", bucket % 8 == 0), ("tuned", bucket % 2 == 0)):
            store.add(record(f"style/{arm}", bucket, accepted=accepted))
    store.close()


def test_the_latest_experiment_is_compared(capsys):
    assert main(["stats", "--compare"]) == 0
    shown = capsys.readouterr().out
    assert "plain" in shown
    assert "acceptance" in shown
    assert "different" in shown.replace("difference", "")
    assert "too early" in shown  # nothing was measured five minutes later


def test_as_json(capsys):
    assert main(["stats", "--compare", "style", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    acceptance = found["differences"][0]
    assert (found["first"], found["second"]) == ("plain", "tuned")
    assert acceptance["decided"] is True
    assert acceptance["low"] < 0.5 - 8 / 60 < acceptance["high"]


def test_an_unknown_experiment_is_named(capsys):
    assert main(["stats", "--compare", "other"]) == 1
    assert "'other'" in capsys.readouterr().err
