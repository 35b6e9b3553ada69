"""Adapt the number of threads to the time that tokens take. Pure: each decode leads to the next frozen value.

Threads wait for each other at every node of the graph. On a machine that is busy with a build they wait for
the one that has no core: two threads took 31 to 160 ms a token where one took 20 to 29. So when tokens take
much longer than they could, fewer threads are tried, and kept if they are faster. When tokens are fast again,
more are tried. Each step is half or twice the threads.

Four things keep the count from swinging: medians, a band between contended and calm in which nothing changes,
trials that are undone unless they pay, and a patience that doubles with each change of direction.
"""

from __future__ import annotations

from statistics import median

from attrs import evolve, field, frozen

_WINDOW = 12
"""Decodes whose median is one observation."""
_TRIAL = 4
"""Decodes of a trial. The one before them is always slow, because threads are woken for it."""
_CONTENDED = 1.8
"""Times the best median with the same threads. A longer context and adapters take up to half more."""
_CALM = 1.25
"""Times the best median with the same threads."""
_PAYS = 0.9
"""Part of the former median that fewer threads must not exceed."""
_DOES_NOT_HURT = 1.1
"""More threads may take this much longer for one token: a prefill is still faster with them."""
_PATIENCE = 8
"""Observations to wait before the direction may change."""
_MOST_PATIENCE = 128
"""Observations."""
_FORGIVEN = 256
"""Observations without a change after which patience is reset."""
_DOWN, _UP = 1, -1


def steps(most: int) -> tuple[int, ...]:
    """Return the thread counts to use: all, half of them, and so on to one."""
    return (most,) if most <= 1 else (most, *steps(most // 2))


def prefill_threads(decoding: int, cores: int, busy: float) -> int:
    """Return the threads for a prefill: the cores that are free, and no fewer than decode.

    Args:
        decoding: threads that compute single tokens now.
        cores: physical cores of the machine.
        busy: processors that other processes keep busy.
    """
    return max(decoding, min(cores, round(cores - busy)))


@frozen
class ThreadControl:
    """The thread count to use, and the timings that it follows from."""

    most: int
    """Threads on a machine that runs nothing else."""
    _step: int = 0
    """Index into :func:`steps`."""
    _times: tuple[float, ...] = field(default=(), repr=False)
    """Milliseconds of the decodes since the last observation."""
    _best: tuple[float, ...] = field(default=(), repr=False)
    """Best median, by step, of the steps that were reached. Milliseconds."""
    _waited: int = 0
    """Observations since the last change."""
    _patience: int = _PATIENCE
    _direction: int = _DOWN
    """Direction of the last change, 0 if it was undone. To continue in it takes no patience."""
    _tried_from: tuple[int, float] | None = None
    """During a trial, the step to return to and the median there."""

    @property
    def threads(self) -> int:
        """Threads to compute the next token with."""
        return steps(self.most)[self._step]

    def after(self, ms: float) -> ThreadControl:
        """Return the state after a decode of one token with :attr:`threads` took so many milliseconds."""
        times = (*self._times, ms)
        if self._tried_from is not None:
            if len(times) <= _TRIAL:
                return evolve(self, times=times)
            return self._end_trial(median(times[1:]), *self._tried_from)
        if len(times) < _WINDOW:
            return evolve(self, times=times)
        return self._observe(median(times))

    def _observe(self, ms: float) -> ThreadControl:
        """Return the state after a median of ``ms``, which begins a trial if it calls for one."""
        waited = self._waited + 1
        patience = _PATIENCE if waited >= _FORGIVEN else self._patience
        observed = evolve(self._with_best(ms), times=(), waited=waited, patience=patience)
        best = observed._best[observed._step]
        if ms > _CONTENDED * best and observed._may_change(_DOWN):
            return observed._try(_DOWN, ms)
        if ms <= _CALM * best and observed._may_change(_UP):
            return observed._try(_UP, ms)
        return observed

    def _with_best(self, ms: float) -> ThreadControl:
        """Return the state with the best median of this step updated.

        Each step is reached from the one before. A step that was only seen in contention can do no worse on a
        quiet machine than its part of the threads implies.
        """
        known = self._best[self._step : self._step + 1]
        if not known and self._step:
            more, fewer = steps(self.most)[self._step - 1 : self._step + 1]
            known = (self._best[self._step - 1] * more / fewer,)
        best = min((ms, *known))
        return evolve(self, best=(*self._best[: self._step], best, *self._best[self._step + 1 :]))

    def _may_change(self, direction: int) -> bool:
        if not 0 <= self._step + direction < len(steps(self.most)):
            return False
        return self._waited >= (1 if direction == self._direction else self._patience)

    def _try(self, direction: int, ms: float) -> ThreadControl:
        return evolve(self, step=self._step + direction, tried_from=(self._step, ms), waited=0)

    def _end_trial(self, ms: float, former: int, former_ms: float) -> ThreadControl:
        """Return the state after a trial with a median of ``ms``: keep its step, or go back to the former."""
        direction = self._step - former
        limit = _PAYS if direction == _DOWN else _DOES_NOT_HURT
        ended = evolve(self, times=(), tried_from=None)
        if ms <= limit * former_ms:
            return ended._with_best(ms)._turned(direction)
        return evolve(ended, step=former, patience=min(_MOST_PATIENCE, 2 * self._patience), direction=0)

    def _turned(self, direction: int) -> ThreadControl:
        if direction == self._direction:
            return self
        return evolve(self, direction=direction, patience=min(_MOST_PATIENCE, 2 * self._patience))
