"""Debounce: an adaptive delay, and the newest request of a document wins.

The delay follows the break-even rule of ski rental: waiting longer than a wasted start would cost saves
nothing, and so does waiting much longer or shorter than the user's typing rhythm. So a small model starts at
once, while a large one lets a burst of keystrokes pass. A start that was aborted shows that a burst is on,
and the next one waits until it is over.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from attrs import evolve, frozen

from fim_lsp.types import Prompt, Timings

T = TypeVar("T")

_SMOOTHING = 0.3
"""Weight of the newest observation in the running means."""
_PAUSE_MS = 1000.0
"""A longer gap is a pause for thought, not part of the rhythm."""
_RHYTHM_FACTOR = 1.2
_NO_KEY_BEFORE = 1 / 3
"""Fraction of the mean interval before which the next key hardly ever comes: a shorter wait saves nothing."""


class SupersededError(Exception):
    """A newer request for the same document has taken over."""


@frozen
class Rhythm:
    """Running means of how fast the user types and what a start costs, in milliseconds."""

    interval_ms: float = 200.0
    cost_ms: float = 0.0
    last_ms: float | None = None
    wasted: bool = False
    """True if the last start was aborted before it was done."""

    def keystroke(self, now_ms: float) -> Rhythm:
        """Note a keystroke at ``now_ms`` of any steady clock."""
        gap = _PAUSE_MS if self.last_ms is None else now_ms - self.last_ms
        paused = gap >= _PAUSE_MS
        interval = self.interval_ms if paused else _mean(self.interval_ms, gap)
        return evolve(self, interval_ms=interval, last_ms=now_ms, wasted=self.wasted and not paused)

    def started(self, cost_ms: float, *, wasted: bool = False) -> Rhythm:
        """Note the milliseconds that an abort would have lost of a start, or has lost.

        An aborted start shows only that a whole one costs more, so it never makes starts look cheaper.
        """
        cost = _mean(self.cost_ms, cost_ms)
        return evolve(self, cost_ms=max(self.cost_ms, cost) if wasted else cost, wasted=wasted)

    def delay_ms(self, least_ms: float, most_ms: float) -> float:
        """Return the milliseconds to wait for another keystroke before starting, within bounds."""
        patience = _RHYTHM_FACTOR * self.interval_ms
        wait = patience if self.wasted else min(self.cost_ms, patience)
        return max(least_ms, min(most_ms, wait if wait > _NO_KEY_BEFORE * self.interval_ms else 0.0))


def lost_ms(prompt: Prompt, timings: Timings) -> float:
    """Return the milliseconds of work that the next keystroke would make useless by an abort.

    Where typing lengthens the prompt, what was evaluated of it is kept, and about a token is lost; where
    typing changes it from the middle on, all of it.
    """
    if prompt.tail:
        return timings.decode_ms / max(1, timings.generated_tokens)
    return timings.prefill_ms


def _mean(mean: float, value: float) -> float:
    return mean + _SMOOTHING * (value - mean)


class Turn:
    """One request's claim on its document, until a newer one takes it."""

    def __init__(self) -> None:
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def lose(self) -> None:
        """Let every wait of this turn raise SupersededError."""
        if not self._lost.done():
            self._lost.set_result(None)

    async def sleep(self, delay_ms: float) -> None:
        """Wait, unless superseded.

        Raises:
            SupersededError: a newer request came meanwhile.
        """
        if delay_ms > 0:
            await asyncio.wait({self._lost}, timeout=delay_ms / 1000)
        self._check()

    async def result(self, future: asyncio.Future[T]) -> T:
        """Return the future's result, unless superseded first. The future itself is left alone.

        Raises:
            SupersededError: a newer request came meanwhile.
        """
        waits: set[asyncio.Future[Any]] = {future, self._lost}
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        self._check()
        return future.result()

    def _check(self) -> None:
        if self._lost.done():
            raise SupersededError


class LatestWins:
    """Hands out turns: a document's newest request takes it from the one before."""

    def __init__(self) -> None:
        self._turns: dict[str, Turn] = {}

    def take(self, uri: str) -> Turn:
        """Return a new turn for the document; the former holder is superseded."""
        if (former := self._turns.get(uri)) is not None:
            former.lose()
        turn = self._turns[uri] = Turn()
        return turn

    def release(self, uri: str, turn: Turn) -> None:
        """Give the turn back, if it is still the document's."""
        if self._turns.get(uri) is turn:
            del self._turns[uri]
