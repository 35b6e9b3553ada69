"""A typist at the real server with the real model: what each keystroke costs, in counts alone."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.model, pytest.mark.timeout(900)]


def test_typing_on_costs_few_tokens_and_an_accept_hardly_any(tmp_path):
    command = [sys.executable, "-m", "benchmarks.keystrokes", "--short", "--output", str(tmp_path)]
    subprocess.run(command, check=True, timeout=840)
    document = json.loads((tmp_path / "keystrokes.json").read_text())
    (run,) = document["runs"]
    assert (run["peer"], run["file_tokens"], run["busy"]) == ("fim-lsp", 512, False)
    assert run["evaluated_per_keystroke"]["p50"] <= 2
    assert run["accepted_chars"] > 0
    assert run["prefilled_after_accept"] <= 4
    assert (tmp_path / "keystrokes.md").read_text().count("| fim-lsp |") == 1
    assert sorted(path.name for path in tmp_path.glob("*.svg")) == [
        "keystrokes-cpu.svg",
        "keystrokes-first-token.svg",
        "keystrokes-latency.svg",
        "keystrokes-tokens.svg",
    ]
