"""The selected text is recorded as what should have been suggested, and exported for an evaluation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from training.evaluate.infilling import load_tasks

from .workbench import Workbench

pytestmark = pytest.mark.timeout(900)

TEXT = "def area(width, height):\n    größe = '➜🚀'; return █width * height\n\n\nprint(area(2, 3))\n"


def test_a_selection_is_recorded_and_exported(
    open_editor: Callable[..., Workbench], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIM_LSP_STATE", str(tmp_path / "state"))
    workbench = open_editor(tmp_path, env={"FIM_LSP_STATE": str(tmp_path / "state")})
    workbench.wait_for_status("Ready")
    workbench.open("area.py", TEXT)
    workbench.press("Shift+End", "Control+Alt+Shift+e")
    workbench.notified("Recorded; 1 case.")

    file = tmp_path / "cases.jsonl"
    command = [sys.executable, "-m", "fim_lsp", "expected", "--export", str(file)]
    subprocess.run(command, check=True, env=dict(os.environ), capture_output=True)
    (case,) = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    assert (case["canonical_solution"], case["path"]) == ("width * height", "area.py")
    assert (case["prompt"], case["suffix"]) == (TEXT.split("█")[0], TEXT.split("width * height")[1])
    (hole,) = load_tasks(file)
    assert hole.middle == "width * height"
