"""The processors that other processes keep busy, from the times that the system counts."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil
from attrs import frozen

_SHORTEST_S = 0.05
"""Seconds between two samples below which the last load stands: the system counts in steps of 10 ms."""


@frozen
class CpuSample:
    """The CPU seconds that were spent until one moment."""

    at_s: float
    all_s: float
    """By all processes, on all processors."""
    own_s: float
    """By this process."""

    @classmethod
    def now(cls) -> CpuSample:
        """Take a sample, which costs about 40 microseconds."""
        times, own = psutil.cpu_times(), psutil.Process().cpu_times()
        idle_s = times.idle + getattr(times, "iowait", 0.0)
        # Guests are counted in user and nice as well (psutil 7).
        guest_s = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
        return cls(time.perf_counter(), sum(times) - idle_s - guest_s, own.user + own.system)


def busy_processors(before: CpuSample, after: CpuSample) -> float:
    """Return how many processors other processes kept busy between two samples, on average."""
    others_s = (after.all_s - before.all_s) - (after.own_s - before.own_s)
    return max(0.0, others_s / max(after.at_s - before.at_s, 1e-6))


class MachineLoad:
    """The load by other processes since the last look. Used on one thread.

    Args:
        sample: takes a sample.
    """

    def __init__(self, sample: Callable[[], CpuSample] = CpuSample.now) -> None:
        self._sample = sample
        self._last = sample()
        self._busy = 0.0

    def busy(self) -> float:
        """Return how many processors others keep busy."""
        now = self._sample()
        if now.at_s - self._last.at_s >= _SHORTEST_S:
            self._busy, self._last = busy_processors(self._last, now), now
        return self._busy
