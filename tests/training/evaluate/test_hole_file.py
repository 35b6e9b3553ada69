from __future__ import annotations

from pathlib import Path

import pytest

from training.evaluate import EvaluationError
from training.evaluate.hole_file import read_holes, write_holes
from training.evaluate.infilling import EvaluationHole, ProgramTest


def test_holes_come_back_as_they_were(tmp_path: Path) -> None:
    known = {"set": "data", "path": "a.py", "language": "python"}
    plain = EvaluationHole("x = ", "1\u2028é", "\n", "node", name="a#0", **known)
    test = ProgramTest("def check(f): ...", "f")
    checked = EvaluationHole("", "", "", "benchmark", name="b#0", check=test, **known)
    write_holes(tmp_path / "holes.jsonl", (plain, checked))
    assert read_holes(tmp_path / "holes.jsonl") == (plain, checked)
    with pytest.raises(EvaluationError, match="can't be read"):
        read_holes(tmp_path / "gone.jsonl")
