"""What happened at each hole, kept as it happens: JSON lines that a rerun takes up again.

A line is written whole or, where a process was killed, not at all; half a line is dropped on opening. Lines
carry a key made from everything that they depend on, so results of another model, setting or version are
never taken for one's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import asdict, field, frozen

from training.evaluate import EvaluationError
from training.evaluate.arms import Text


@frozen
class AnswerRecord:
    """One arm's answer at one hole."""

    key: str
    written: str | None = field(default=None, repr=False)
    """See :data:`training.evaluate.arms.Text`; None for an arm that was only scored."""
    said: str | None = field(default=None, repr=False)
    shown: str | None = field(default=None, repr=False)
    replaced: int = 0
    """Characters behind the cursor that the shown text replaces."""
    finish: str = ""
    """``end``: the model ended by itself; ``length``: the token limit; ``stopped``: the overrun's end."""
    ended_by: str = ""
    """What ended it for the server: a stop rule, or the model."""
    template: str = ""
    first_ms: float = 0.0
    """From the request to the first text, or to an end without any."""
    shown_ms: float = 0.0
    """From the request to the answer."""
    evaluated: int = 0
    """Prompt tokens; the cache is cold."""
    generated: int = 0
    """Tokens until the server had heard enough."""
    scored: bool = False
    nll_text: float | None = None
    """Of the true middle, nats; None also where it did not fit the context."""
    nll_end: float | None = None
    nll_tokens: int = 0
    error: str = ""
    code: str = ""
    """Names the code that made the answer."""

    def text(self, which: Text) -> str | None:
        """One of the three texts."""
        texts: dict[Text, str | None] = {"written": self.written, "said": self.said, "shown": self.shown}
        return texts[which]


class ResultJournal:
    """A JSON lines file as a mapping by key; of several lines with one key the last one counts."""

    def __init__(self, path: Path) -> None:
        """Open or begin it.

        Raises:
            EvaluationError: the file can't be read or written.
        """
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._entries = {entry["key"]: entry for entry in _whole_lines(path)}
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise self._unusable(error) from error

    def get(self, key: str) -> Mapping[str, Any] | None:
        """The entry of that key."""
        return self._entries.get(key)

    def record(self, key: str) -> AnswerRecord | None:
        """The same as a record; None too where another version wrote it."""
        entry = self.get(key)
        try:
            return AnswerRecord(**entry) if entry else None
        except TypeError:
            return None

    def add(self, entry: Mapping[str, Any] | AnswerRecord) -> None:
        """Append an entry, which must have a ``key``.

        Raises:
            EvaluationError: the disk is full, or the file is gone.
        """
        values = asdict(entry) if isinstance(entry, AnswerRecord) else dict(entry)
        try:
            self._file.write(json.dumps(values) + "\n")
            self._file.flush()
        except OSError as error:
            raise self._unusable(error) from error
        self._entries[values["key"]] = values

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> ResultJournal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _unusable(self, error: OSError) -> EvaluationError:
        return EvaluationError(
            f"ArmResults can't be kept in {self._path}: {error.strerror or error}.",
            "Free some room, or choose another folder with --output; what was done is kept.",
        )


def _whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Every whole line; what a killed process left behind is cut off the file."""
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        with path.open("r+b") as file:
            file.truncate(whole)
    for line in data[:whole].decode("utf-8", "replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and "key" in entry:
            yield entry
