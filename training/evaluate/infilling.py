"""Load the holes of an evaluation from benchmark files in HumanEval-Infilling's format (arXiv 2207.14255).

``path`` and ``language`` may be added; ``fim-lsp expected --export`` writes such files.

A model gets prefix and suffix of a hole, and never its middle.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from attrs import evolve, field, frozen

from training.data.spans import Hole
from training.evaluate import EvaluationError

Cut = Literal["benchmark", "indentation"]
_FIELDS = ("task_id", "prompt", "suffix", "canonical_solution")


@frozen
class ProgramTest:
    """A test for a program with its hole filled."""

    test: str = field(repr=False)
    """Code that defines ``check(candidate)``."""
    entry_point: str
    """Name of the function that ``check`` is called with."""


@frozen
class EvaluationHole(Hole):
    """A hole that arms fill: its name, its document, and a test for the program with the hole filled."""

    name: str = field(kw_only=True)
    """Unique in :attr:`set`."""
    set: str = field(kw_only=True)
    """The file or repository that the hole is from."""
    path: str = field(kw_only=True)
    language: str = field(kw_only=True)
    check: ProgramTest | None = field(default=None, kw_only=True, repr=False)

    @property
    def digest(self) -> str:
        """Hash of the content: 16 hexadecimal digits."""
        parts = (self.set, self.name, self.path, self.language, self.prefix, self.middle, self.suffix)
        return sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:16]

    def program(self, text: str, replaced: int = 0) -> str | None:
        """Return the document with ``text`` in the hole and a call of its test; None without a test.

        ``replaced`` is the number of characters of the suffix that ``text`` replaces.
        """
        if self.check is None:
            return None
        body = self.prefix + text + self.suffix[replaced:]
        return f"{body}\n{self.check.test}\ncheck({self.check.entry_point})\n"


def load_tasks(file: Path) -> tuple[EvaluationHole, ...]:
    """Load the tasks of a JSON lines file, gzipped or not, as Python documents.

    Raises:
        EvaluationError: the file can't be read, or a line lacks a field.
    """
    name = file.name.removesuffix(".gz").removesuffix(".jsonl")
    try:
        with (
            gzip.open(file, "rt", encoding="utf-8")
            if file.suffix == ".gz"
            else file.open(encoding="utf-8") as lines
        ):
            tasks = [json.loads(line) for line in lines if line.strip()]
        return tuple(_hole(task, name) for task in tasks)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise EvaluationError(
            f"{file} can't be read as infilling tasks: {type(error).__name__} {error}.",
            f"Give JSON lines with the fields {', '.join(_FIELDS)}.",
        ) from error


def _hole(task: dict[str, Any], source: str) -> EvaluationHole:
    name, prefix, suffix, middle = (task[field] for field in _FIELDS)
    if not all(isinstance(text, str) for text in (name, prefix, suffix, middle)):
        raise TypeError("a field is not text")
    check = ProgramTest(task["test"], task["entry_point"]) if task.get("test") else None
    return EvaluationHole(
        prefix,
        middle,
        suffix,
        "benchmark",
        name=name,
        set=source,
        path=str(task.get("path", "solution.py")),
        language=str(task.get("language", "python")),
        check=check,
    )


def recut(hole: EvaluationHole, cut: Cut) -> EvaluationHole:
    """Return the hole as the benchmark cuts it, or cut behind the indentation, as an editor's user meets it.

    With ``indentation``, a middle at the start of a line gives its indentation to the prefix and its last
    line break to the suffix, as on a blank line that the editor has indented: prefix ``if x:``, line break;
    middle ``    y()``, line break -> prefix ``if x:``, line break, four spaces; middle ``y()``.
    """
    body = hole.middle.lstrip(" \t")
    at_line_start = not hole.prefix or hole.prefix.endswith("\n")
    if cut == "benchmark" or not at_line_start or not body.strip() or body.startswith(("\r", "\n")):
        return hole
    indent = hole.middle[: len(hole.middle) - len(body)]
    ended = body.removesuffix("\n")
    return evolve(
        hole,
        name=f"{hole.name}#indentation",
        prefix=hole.prefix + indent,
        middle=ended,
        suffix=body[len(ended) :] + hole.suffix,
    )


def sample(holes: Sequence[EvaluationHole], limit: int | None, seed: int) -> tuple[EvaluationHole, ...]:
    """Draw at most ``limit`` holes, in their order; a larger limit gives the same holes and more."""
    if limit is None or limit >= len(holes):
        return tuple(holes)
    drawn = sorted(range(len(holes)), key=lambda index: _rank(seed, holes[index].name))[:limit]
    return tuple(holes[index] for index in sorted(drawn))


def _rank(seed: int, name: str) -> bytes:
    return sha256(f"{seed}\0{name}".encode()).digest()
