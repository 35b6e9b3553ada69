"""Arms without weights: models that choose their answer by the text of the prompt."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import define, field

from fim_lsp.engine.base import Engine
from fim_lsp.engine.scripted import END, ScriptedEngine
from training.evaluate.arms import Arm
from training.evaluate.infilling import EvaluationHole, ProgramTest

_TOY = {"set": "toy", "path": "solution.py", "language": "python"}
ADD = EvaluationHole(
    "def add(a, b):\n    ",
    "return a + b",
    "\n\n\ndef other():\n    return 1\n",
    "benchmark",
    name="add",
    **_TOY,
    check=ProgramTest("def check(candidate):\n    assert candidate(1, 2) == 3\n", "add"),
)
TWICE = EvaluationHole(
    "def twice(a):\n    ",
    "b = a * 2\n    return b",
    "\n",
    "lines",
    name="twice",
    **_TOY,
    check=ProgramTest("def check(candidate):\n    assert candidate(2) == 4\n", "twice"),
)
NOTHING = EvaluationHole("x = 1", "", "\ny = 2\n", "empty", name="nothing", **_TOY)
HOLES = (ADD, TWICE, NOTHING)


def says(answers: Mapping[str, str], otherwise: str = END) -> Callable[[str], str]:
    """Provide a script that answers by what the prompt contains."""

    def script(prompt: str) -> str:
        return next((answer for part, answer in answers.items() if part in prompt), otherwise)

    return script


GOOD = says({"def add": "return a + b" + END, "def twice": "b = a * 2\n    return b" + END})
BAD = says({"def add": "return a", "def twice": "b = 3" + END}, otherwise=" + 7" + END)


@define
class ScriptedModels:
    """Scripts by an arm's model name."""

    scripts: Mapping[str, Callable[[str], str]]
    opened: list[str] = field(factory=list)
    prompts: list[str] = field(factory=list)

    def digest(self, arm: Arm) -> str:
        return arm.model

    def open(self, arm: Arm) -> Engine:
        self.opened.append(arm.name)
        script = self.scripts[arm.model]

        def recorded(prompt: str) -> str:
            self.prompts.append(prompt)
            return script(prompt)

        return ScriptedEngine(recorded)


def write_tasks(file: Path, holes: tuple[EvaluationHole, ...] = HOLES) -> Path:
    lines = (json.dumps(task(hole)) + "\n" for hole in holes)
    with gzip.open(file, "wt", encoding="utf-8") if file.suffix == ".gz" else file.open("w") as out:
        out.writelines(lines)
    return file


def task(hole: EvaluationHole) -> dict[str, str]:
    check = {"test": hole.check.test, "entry_point": hole.check.entry_point} if hole.check else {}
    texts = {"prompt": hole.prefix, "canonical_solution": hole.middle, "suffix": hole.suffix}
    return {"task_id": hole.name, **texts, **check}
