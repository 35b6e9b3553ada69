"""Keep what should have been suggested, where the user says so: cases to evaluate models and settings with.

The cases hold the user's code. They are recorded by a command alone, stay on this machine, and have the
format of HumanEval-Infilling, so that ``python -m training evaluate --holes`` reads the file as it is.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from attrs import field, frozen

from fim_lsp.errors import FimLspError
from fim_lsp.paths import state_folder

_AROUND = 20_000
"""Characters kept before and after the expected text: more than any prompt holds."""
_LONGEST = 4000
"""Characters of an expected text at most."""


class ExpectedError(FimLspError):
    """An expected suggestion that can't be recorded or read."""


@frozen
class ExpectedSuggestion:
    """A place in a document, and the text that should have been suggested there."""

    path: str
    """The file's name: folders say more about the user than about the code."""
    language: str
    prefix: str = field(repr=False)
    text: str = field(repr=False)
    suffix: str = field(repr=False)

    @classmethod
    def of(cls, path: str, language: str, document: str, start: int, end: int) -> ExpectedSuggestion:
        """Make a case of a range of a document, which holds the text that was expected.

        Raises:
            ExpectedError: the range is blank or too long.
        """
        text = document[start:end]
        if not text.strip():
            raise ExpectedError(
                "There is no text to record.", "Select the text that should have been suggested."
            )
        if len(text) > _LONGEST:
            raise ExpectedError(
                f"The text has {len(text)} characters, and at most {_LONGEST} are recorded.",
                "Select less of it.",
            )
        before, after = document[max(0, start - _AROUND) : start], document[end : end + _AROUND]
        return cls(path, language, before, text, after)


def expected_path() -> Path:
    """Return the path of the file."""
    return state_folder() / "expected.jsonl"


def record_expected(path: Path, expected: ExpectedSuggestion) -> int:
    """Add a case to the file, which only the user may read, and return how many there are now.

    Raises:
        ExpectedError: the file can't be written.
    """
    try:
        count = count_expected(path)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        case = {
            "task_id": f"{expected.path}#{count + 1}",
            "prompt": expected.prefix,
            "suffix": expected.suffix,
            "canonical_solution": expected.text,
            "path": expected.path,
            "language": expected.language,
        }
        with open(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8"
        ) as lines:
            lines.write(json.dumps(case) + "\n")
    except OSError as error:
        raise ExpectedError(
            f"The expected suggestion can't be kept in {path}: {error.strerror or error}.",
            "Free some room, or point FIM_LSP_STATE elsewhere.",
        ) from error
    return count + 1


def count_expected(path: Path) -> int:
    """Return how many cases the file has; 0 if there is none.

    Raises:
        ExpectedError: the file can't be read.
    """
    try:
        return path.read_bytes().count(b"\n") if path.exists() else 0
    except OSError as error:
        raise ExpectedError(f"{path} can't be read: {error.strerror or error}.") from error
