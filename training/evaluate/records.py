"""Store the results of each hole as JSON lines, so that a second run does only what is missing.

If a process was killed while it wrote a line, that line is dropped on opening. A line has a key that is made
of everything it depends on, so a result of another model, setting or version is never used.
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
    """An arm's answer for a hole."""

    key: str
    written: str | None = field(default=None, repr=False)
    """This and the next two: see :data:`training.evaluate.arms.Text`. None for an arm that was only
    scored."""
    stopped: str | None = field(default=None, repr=False)
    shown: str | None = field(default=None, repr=False)
    replaced: int = 0
    """Number of characters behind the cursor that the shown text replaces."""
    finish: str = ""
    """``end``: the model ended by itself; ``length``: the token limit; ``stopped``: the end of the
    overrun."""
    ended_by: str = ""
    """The stop rule that ended the answer for the server, or the model."""
    template: str = ""
    first_ms: float = 0.0
    """Time from the request to the first token, or to an end without text."""
    shown_ms: float = 0.0
    """Time from the request to the answer."""
    evaluated: int = 0
    """Prompt tokens evaluated; the KV cache was empty."""
    generated: int = 0
    """Tokens generated until a stop rule or the model ended the answer."""
    scored: bool = False
    nll_text: float | None = None
    """NLL of the true middle in nats; None also if it did not fit into the context window."""
    nll_end: float | None = None
    nll_tokens: int = 0
    error: str = ""
    code: str = ""
    """Hash of the code that made the answer."""

    def text(self, which: Text) -> str | None:
        """Return one of the three texts."""
        texts: dict[Text, str | None] = {
            "written": self.written,
            "stopped": self.stopped,
            "shown": self.shown,
        }
        return texts[which]


class ResultJournal:
    """A JSON lines file as a mapping by key; of several lines with the same key the last one counts."""

    def __init__(self, path: Path) -> None:
        """Open the file, or create it.

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
        """Return the entry of a key, or None."""
        return self._entries.get(key)

    def record(self, key: str) -> AnswerRecord | None:
        """Return the entry as a record; None also if another version of fim-lsp wrote it."""
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
            "Free some room, or choose another folder with --output; finished results are kept.",
        )


def _whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the entry of every complete line; cut half a line off the file's end."""
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
