"""Make a generation of the pieces of text that a server sends, and end it where it must end."""

from __future__ import annotations

import time

from attrs import define, evolve, field

from fim_lsp.engine.base import OnToken
from fim_lsp.engine.remote.dialects import AnswerChunk, AnswerPiece
from fim_lsp.types import FinishReason, Generation, StreamedToken, Timings


class HealingFailedError(Exception):
    """The answer does not begin with the word that was left out of the prompt."""


@define
class AnswerStream:
    """One answer while it comes. ``reason`` is set when it has ended."""

    on_token: OnToken
    limit: int
    """Most tokens to take."""
    markers: tuple[str, ...] = ()
    """Texts that end the answer, in case that the server does not know them as markers."""
    stop_ids: frozenset[int] = frozenset()
    healing: str = ""
    """Text that the answer must begin with, and that is not part of it."""
    least_end: float = 0.0
    """An end before any text that is less likely than this does not end the answer."""
    early_end: bool = False
    """True once there was such an end: the server has to be asked for something else."""
    reason: FinishReason | None = None
    progress_at: float = field(factory=time.perf_counter)
    """When the last event with text came."""
    timings: Timings = field(factory=Timings)
    text: str = ""
    """What was handed on."""
    _held: str = ""
    """Text that may be the beginning of a marker."""
    _probabilities: list[float] = field(factory=list)
    _earlier: Timings | None = None
    """The costs of the requests before the current one."""
    _started: float = field(factory=time.perf_counter)
    _first_at: float | None = None

    @property
    def begun(self) -> bool:
        """True once a token was handed on."""
        return bool(self._probabilities)

    def begin_request(self) -> None:
        """Expect the events of another request, which continues the answer so far."""
        self._earlier = self.timings if self._first_at is not None else None

    def add(self, chunk: AnswerChunk) -> None:
        """Take an event.

        Raises:
            HealingFailedError: the answer begins otherwise than the word at the cursor.
        """
        self._count(chunk)
        for piece in chunk.pieces:
            if self.reason is None and not self.early_end:
                self._take(piece)
        if chunk.end is not None and self.reason is None and not self.early_end:
            self.finish(chunk.end)

    def finish(self, reason: FinishReason) -> None:
        """End the answer, with the text that was held back.

        Raises:
            HealingFailedError: the server ended it within the word at the cursor. The limit may do so.
        """
        if self.healing and reason is not FinishReason.LENGTH:
            raise HealingFailedError
        held, self._held = self._held, ""
        self.reason = reason
        if held and reason is not FinishReason.CANCELLED:
            self.text += held
            self.on_token(StreamedToken(held, 1.0, self._elapsed_ms()))

    def generation(self) -> Generation:
        """Return the answer so far. One that nothing ended was cancelled."""
        decode_ms = self._elapsed_ms()
        timings = evolve(
            self.timings,
            decode_ms=decode_ms,
            generated_tokens=len(self._probabilities),
            decodes=max(0, len(self._probabilities) - 1),
        )
        reason = self.reason or FinishReason.CANCELLED
        return Generation(self.text, reason, timings, tuple(self._probabilities))

    def _count(self, chunk: AnswerChunk) -> None:
        if chunk.evaluated_tokens is not None:
            earlier = self._earlier.evaluated_tokens if self._earlier is not None else 0
            self.timings = evolve(self.timings, evaluated_tokens=earlier + chunk.evaluated_tokens)
        # A later request reuses what the first one evaluated.
        if chunk.reused_tokens is not None and self._earlier is None:
            self.timings = evolve(self.timings, reused_tokens=chunk.reused_tokens)
        if not chunk.pieces and chunk.end is None:
            return
        self.progress_at = time.perf_counter()
        if self._first_at is None:
            self._first_at = self.progress_at
            self.timings = evolve(self.timings, prefill_ms=(self._first_at - self._started) * 1000)

    def _take(self, piece: AnswerPiece) -> None:
        if piece.token in self.stop_ids:
            if piece.probability < self.least_end and not (self.text or self._held or self.healing):
                self.early_end = True
                return
            self._probabilities.append(piece.probability)
            self.finish(FinishReason.END)
            return
        text = self._held + self._healed(piece.text)
        end = min((index for marker in self.markers if (index := text.find(marker)) >= 0), default=None)
        held = 0 if end is not None else self._beginning_of_marker(text)
        shown = text[:end] if end is not None else text[: len(text) - held]
        self._held = text[len(text) - held :] if held else ""
        self._probabilities.append(piece.probability)
        self.text += shown
        if not self.on_token(StreamedToken(shown, piece.probability, self._elapsed_ms())):
            self.reason = FinishReason.STOPPED
        elif end is not None:
            self.reason = FinishReason.END
        elif len(self._probabilities) >= self.limit:
            self.finish(FinishReason.LENGTH)

    def _healed(self, text: str) -> str:
        """Return a piece without what it repeats of the healed word."""
        common = min(len(text), len(self.healing))
        if text[:common] != self.healing[:common]:
            raise HealingFailedError
        self.healing = self.healing[common:]
        return text[common:]

    def _beginning_of_marker(self, text: str) -> int:
        """Return the length of the longest end of ``text`` that a marker begins with."""
        longest = max(map(len, self.markers), default=1) - 1
        for length in range(min(longest, len(text)), 0, -1):
            if any(marker.startswith(text[-length:]) for marker in self.markers):
                return length
        return 0

    def _elapsed_ms(self) -> float:
        """Return the time since the prompt was evaluated."""
        return (time.perf_counter() - (self._first_at or self._started)) * 1000
