"""Store holes in a file, so that they can be filled later, when the code has changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from attrs import asdict

from fim_lsp.files import write_text_atomically
from training.evaluate import EvaluationError
from training.evaluate.infilling import EvaluationHole, ProgramTest


def write_holes(path: Path, holes: Sequence[EvaluationHole]) -> None:
    """Write holes as JSON lines; the file appears when it is complete.

    Raises:
        EvaluationError: it can't be written.
    """
    try:
        write_text_atomically(path, "".join(json.dumps(asdict(hole)) + "\n" for hole in holes))
    except OSError as error:
        raise EvaluationError(
            f"Holes can't be kept in {path}: {error.strerror or error}.",
            "Free some room, or choose another folder with --output.",
        ) from error


def read_holes(path: Path) -> tuple[EvaluationHole, ...]:
    """Read the holes that :func:`write_holes` wrote, in their order.

    Raises:
        EvaluationError: the file can't be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return tuple(map(_hole, lines))
    except (OSError, ValueError, TypeError) as error:
        raise EvaluationError(f"The holes in {path} can't be read: {error}.") from error


def _hole(line: str) -> EvaluationHole:
    values = json.loads(line)
    check = values.pop("check")
    return EvaluationHole(**values, check=ProgramTest(**check) if check else None)
