"""The CPU time that was spent within the last minute, as a value."""

from __future__ import annotations

from attrs import field, frozen

_MINUTE_S = 60.0


@frozen
class CpuSpending:
    """CPU seconds and the moments at which they were spent."""

    _spent: tuple[tuple[float, float], ...] = field(default=(), repr=False)
    """Pairs of a moment and CPU seconds, in order."""

    def after(self, now_s: float, cpu_s: float) -> CpuSpending:
        """Return the spending after ``cpu_s`` more were spent until ``now_s``."""
        return CpuSpending((*self._within_minute(now_s), (now_s, cpu_s)))

    def left(self, now_s: float, limit_s: float) -> float:
        """Return the CPU seconds left of a limit a minute; 0 if none are."""
        return max(0.0, limit_s - sum(cpu_s for _, cpu_s in self._within_minute(now_s)))

    def _within_minute(self, now_s: float) -> tuple[tuple[float, float], ...]:
        return tuple(entry for entry in self._spent if entry[0] > now_s - _MINUTE_S)
