"""How many threads to compute with, from how long tokens take: pure, from one decode to the next.

On a machine that is busy with a build, threads that wait for each other at every node of the graph wait for
whichever of them has no core: two of them took 31 to 160 ms a token where one took 20 to 29. So when tokens
take much longer than they could, fewer threads are tried, and kept if they are faster; once it is quiet, more
are tried. Each step is half or twice the threads.

What keeps it from swinging: medians, a band between contended and calm in which nothing happens, trials that
are taken back unless they pay, and a patience that doubles with each change of direction.
"""

from __future__ import annotations

from statistics import median

from attrs import evolve, field, frozen

_WINDOW = 12
"""Decodes whose median counts as one observation."""
_TRIAL = 4
"""Decodes that a trial takes; the one before them is slow in any case, as threads are woken for it."""
_CONTENDED = 1.8
"""Times the best median with so many threads. A longer context and adapters take up to half more."""
_CALM = 1.25
_PAYS = 0.9
"""Part of the former median that fewer threads must not exceed."""
_DOES_NOT_HURT = 1.1
"""More threads may take this much longer for one token: a prefill is faster with them all the same."""
_PATIENCE = 8
"""Observations to wait before the direction may change."""
_MOST_PATIENCE = 128
_FORGIVEN = 256
"""Observations without a change after which patience is what it was."""
_DOWN, _UP = 1, -1


def steps(most: int) -> tuple[int, ...]:
    """The thread counts that are used: all, half of them, and so on to one."""
    return (most,) if most <= 1 else (most, *steps(most // 2))


@frozen
class Pace:
    """What is known of how fast tokens are, and the thread count that follows from it."""

    most: int
    """Threads where nothing else runs."""
    _step: int = 0
    _times: tuple[float, ...] = field(default=(), repr=False)
    _best: tuple[float, ...] = field(default=(), repr=False)
    """Best median, by step; for those that were reached."""
    _waited: int = 0
    """Observations since the last change."""
    _patience: int = _PATIENCE
    _direction: int = _DOWN
    """Of the last change, 0 if it was taken back; to go on in it takes no patience."""
    _tried_from: tuple[int, float] | None = None
    """During a trial: the step to go back to, and the median there."""

    @property
    def threads(self) -> int:
        """How many to compute the next token with."""
        return steps(self.most)[self._step]

    def after(self, ms: float) -> Pace:
        """The pace once a decode of one token, with :attr:`threads`, took so many milliseconds."""
        times = (*self._times, ms)
        if self._tried_from is not None:
            if len(times) <= _TRIAL:
                return evolve(self, times=times)
            return self._judge(median(times[1:]), *self._tried_from)
        if len(times) < _WINDOW:
            return evolve(self, times=times)
        return self._observe(median(times))

    def _observe(self, ms: float) -> Pace:
        waited = self._waited + 1
        patience = _PATIENCE if waited >= _FORGIVEN else self._patience
        now = evolve(self._noted(ms), times=(), waited=waited, patience=patience)
        best = now._best[now._step]
        if ms > _CONTENDED * best and now._may(_DOWN):
            return now._try(_DOWN, ms)
        if ms <= _CALM * best and now._may(_UP):
            return now._try(_UP, ms)
        return now

    def _noted(self, ms: float) -> Pace:
        """With the best median at this step brought up to date; each step is reached from the one before.

        A step that was only seen in contention can do no worse in quiet than its share of the threads says.
        """
        known = self._best[self._step : self._step + 1]
        if not known and self._step:
            more, fewer = steps(self.most)[self._step - 1 : self._step + 1]
            known = (self._best[self._step - 1] * more / fewer,)
        best = min((ms, *known))
        return evolve(self, best=(*self._best[: self._step], best, *self._best[self._step + 1 :]))

    def _may(self, direction: int) -> bool:
        if not 0 <= self._step + direction < len(steps(self.most)):
            return False
        return self._waited >= (1 if direction == self._direction else self._patience)

    def _try(self, direction: int, ms: float) -> Pace:
        return evolve(self, step=self._step + direction, tried_from=(self._step, ms), waited=0)

    def _judge(self, ms: float, former: int, former_ms: float) -> Pace:
        direction = self._step - former
        limit = _PAYS if direction == _DOWN else _DOES_NOT_HURT
        over = evolve(self, times=(), tried_from=None)
        if ms <= limit * former_ms:
            return over._noted(ms)._turned(direction)
        return evolve(over, step=former, patience=min(_MOST_PATIENCE, 2 * self._patience), direction=0)

    def _turned(self, direction: int) -> Pace:
        if direction == self._direction:
            return self
        return evolve(self, direction=direction, patience=min(_MOST_PATIENCE, 2 * self._patience))
