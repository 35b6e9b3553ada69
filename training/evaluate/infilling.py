"""Holes to fill, and those of benchmark files in the format of HumanEval-Infilling (arXiv 2207.14255).

The first step of an evaluation. A hole is three texts and where they stand; what a model is never told is
the middle.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from attrs import evolve, field, frozen

from training.data.spans import EndKind, StartKind, end_kind, start_kind
from training.evaluate import EvaluationError

Cut = Literal["benchmark", "indentation"]
_FIELDS = ("task_id", "prompt", "suffix", "canonical_solution")


@frozen
class Check:
    """A test for the whole program."""

    test: str = field(repr=False)
    """Defines ``check(candidate)``."""
    entry_point: str
    """The function that it is called with."""


@frozen
class Hole:
    """A document cut in three."""

    name: str
    """Tells it from all others of its set."""
    set: str
    """Where it is from: a file or a repository."""
    path: str
    language: str
    prefix: str = field(repr=False)
    middle: str = field(repr=False)
    suffix: str = field(repr=False)
    kind: str = "benchmark"
    """How it was chosen: one of :data:`training.data.spans.Kind`, or ``benchmark``."""
    check: Check | None = field(default=None, repr=False)

    @property
    def start_kind(self) -> StartKind:
        """Where the cursor stands."""
        return start_kind(self.prefix, self.middle + self.suffix[:1])

    @property
    def end_kind(self) -> EndKind:
        """Where the middle ends."""
        return end_kind(self.prefix + self.middle, self.suffix)

    @property
    def lines(self) -> int:
        """Lines of the middle that hold text; 0 for an empty middle."""
        return sum(bool(line.strip()) for line in self.middle.split("\n"))

    @property
    def text(self) -> str:
        """The whole document."""
        return self.prefix + self.middle + self.suffix

    @property
    def digest(self) -> str:
        """Names the hole by its content: 16 hexadecimal digits."""
        parts = (self.set, self.name, self.path, self.language, self.prefix, self.middle, self.suffix)
        return sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:16]

    def program(self, text: str, replaced: int = 0) -> str | None:
        """The document with ``text`` in the hole and its test called, or None where there is no test."""
        if self.check is None:
            return None
        body = self.prefix + text + self.suffix[replaced:]
        return f"{body}\n{self.check.test}\ncheck({self.check.entry_point})\n"


def load_tasks(file: Path) -> tuple[Hole, ...]:
    """The tasks of a JSON lines file, gzipped or not, as Python documents.

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


def _hole(task: dict[str, Any], source: str) -> Hole:
    name, prefix, suffix, middle = (task[field] for field in _FIELDS)
    if not all(isinstance(text, str) for text in (name, prefix, suffix, middle)):
        raise TypeError("a field is not text")
    check = Check(task["test"], task["entry_point"]) if task.get("test") else None
    return Hole(name, source, "solution.py", "python", prefix, middle, suffix, check=check)


def recut(hole: Hole, cut: Cut) -> Hole:
    """The hole as the benchmark cuts it, or as an editor meets it.

    ``indentation``: where the middle begins a line, its indentation is typed already and the line break
    behind it stays where it is, as on a blank line that the editor has indented.
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


def sample(holes: Sequence[Hole], limit: int | None, seed: int) -> tuple[Hole, ...]:
    """At most ``limit`` holes in their order; a larger limit takes the same and more."""
    if limit is None or limit >= len(holes):
        return tuple(holes)
    drawn = sorted(range(len(holes)), key=lambda index: _lot(seed, holes[index].name))[:limit]
    return tuple(holes[index] for index in sorted(drawn))


def _lot(seed: int, name: str) -> bytes:
    return sha256(f"{seed}\0{name}".encode()).digest()
