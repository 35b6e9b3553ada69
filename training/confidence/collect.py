"""Collect suggestions: let the server's pipeline answer at each position, and keep what the model wrote.

Answers are kept before anything is hidden, as JSON lines, so that the features can be computed anew without
the model. A collection that was stopped goes on where it was.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from attrs import asdict, frozen

from fim_lsp.completion.cache import ScoredToken, Suggestion
from fim_lsp.completion.completer import Completer
from fim_lsp.engine.base import EngineError
from fim_lsp.engine.worker import InferenceWorker
from fim_lsp.settings import from_wire
from fim_lsp.types import CompletionRequest, DocumentSnapshot
from training.confidence import ConfidenceError
from training.confidence.positions import CursorPosition


@frozen
class Sample:
    """A position and the suggestion of the model there."""

    source: str
    path: str
    language: str
    start: int
    typed: int
    end: int
    text: str
    """Of the suggestion, before the filters."""
    confidence: float
    tokens: tuple[ScoredToken, ...]
    end_probability: float
    ended_by: str
    multiline: bool

    @property
    def key(self) -> str:
        """The name of its position."""
        return self.position("").key

    @property
    def suggestion(self) -> Suggestion:
        """The suggestion as the completer has it."""
        return Suggestion(
            self.text, self.confidence, tokens=self.tokens, end_probability=self.end_probability
        )

    def position(self, text: str) -> CursorPosition:
        """Return the position in its file's text."""
        return CursorPosition(self.source, self.path, self.language, self.start, self.typed, self.end, text)


def request_at(position: CursorPosition) -> CompletionRequest:
    """Return the request of an editor whose cursor is at a position."""
    uri = f"file:///{quote(position.source)}/{quote(position.path)}"
    document = DocumentSnapshot(uri, position.language, position.typed + 1, position.document)
    return CompletionRequest(document, position.cursor)


def collect(
    holes: Sequence[Sequence[CursorPosition]],
    output: Path,
    settings: dict[str, Any],
    seconds: float,
) -> int:
    """Add samples to a file until all positions are answered or the time is over; return how many are left.

    Args:
        holes: the positions, hole by hole.
        output: the file; those that it has are skipped.
        settings: settings in camelCase, as for the server.
        seconds: time to spend.
    """
    done = {sample.key for sample in read_samples(output)} if output.exists() else set()
    left = [[each for each in hole if each.key not in done] for hole in holes]
    return asyncio.run(
        _collect([hole for hole in left if hole], output, settings, time.monotonic() + seconds)
    )


async def _collect(
    holes: list[list[CursorPosition]], output: Path, wire: dict[str, Any], until: float
) -> int:
    from fim_lsp.engine_factory import open_engine

    settings = from_wire(wire)
    worker = InferenceWorker(open_engine)
    completer = Completer(worker)
    left = sum(map(len, holes))
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        completer.model_changed(await worker.load(settings.model, lambda _: None), settings)
        with output.open("a", encoding="utf-8") as lines:
            for hole in holes:
                for position in hole:
                    if time.monotonic() > until:
                        return left
                    request = request_at(position)
                    try:
                        answer = await completer.complete(request, settings)
                    except EngineError as error:
                        raise ConfidenceError(f"No suggestion at {position.key}: {error}.") from error
                    if answer.suggestion is not None:
                        explanation = answer.explanation
                        sample = Sample(
                            position.source,
                            position.path,
                            position.language,
                            position.start,
                            position.typed,
                            position.end,
                            answer.suggestion.text,
                            answer.suggestion.confidence,
                            answer.suggestion.tokens,
                            answer.suggestion.end_probability,
                            explanation.ended_by,
                            explanation.multiline,
                        )
                        lines.write(json.dumps(asdict(sample)) + "\n")
                        lines.flush()
                    left -= 1
                completer.closed(request_at(hole[0]).document.uri)
        return left
    finally:
        completer.stop()
        await worker.close()


def read_samples(path: Path) -> Iterator[Sample]:
    """Read the samples of a file.

    Raises:
        ConfidenceError: it can't be read.
    """
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            values = json.loads(line)
            tokens = tuple(ScoredToken(**token) for token in values.pop("tokens"))
            yield Sample(tokens=tokens, **values)
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise ConfidenceError(f"The samples in {path} can't be read: {error}.") from error
