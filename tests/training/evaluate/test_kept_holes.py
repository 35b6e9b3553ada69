from __future__ import annotations

from pathlib import Path

import pytest

from training.evaluate import EvaluationError
from training.evaluate.infilling import Check, Hole
from training.evaluate.kept_holes import read_holes, write_holes


def test_holes_come_back_as_they_were(tmp_path: Path) -> None:
    plain = Hole("a#0", "data", "a.py", "python", "x = ", "1\u2028é", "\n", kind="node")
    checked = Hole("b#0", "data", "b.py", "python", "", "", "", check=Check("def check(f): ...", "f"))
    write_holes(tmp_path / "holes.jsonl", (plain, checked))
    assert read_holes(tmp_path / "holes.jsonl") == (plain, checked)
    with pytest.raises(EvaluationError, match="can't be read"):
        read_holes(tmp_path / "gone.jsonl")
