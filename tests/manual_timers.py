"""Timers that run when a test says so."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field


@define
class ManualTimers:
    """Keeps timers instead of starting them. Hand ``run_later`` to what is tested."""

    waiting: list[tuple[float, Callable[[], object]]] = field(factory=list)
    """Delays in seconds and functions, of the timers that neither ran nor were cancelled."""

    def run_later(self, delay_s: float, function: Callable[[], object]) -> Callable[[], None]:
        timer = (delay_s, function)
        self.waiting.append(timer)

        def cancel() -> None:
            if timer in self.waiting:
                self.waiting.remove(timer)

        return cancel

    @property
    def delays_s(self) -> list[float]:
        return [delay_s for delay_s, _ in self.waiting]

    def run_next(self) -> None:
        """Run the timer with the shortest delay."""
        timer = min(self.waiting, key=lambda waiting: waiting[0])
        self._run(timer)

    def run(self, delay_s: float) -> None:
        """Run the one timer with this delay."""
        (timer,) = (waiting for waiting in self.waiting if waiting[0] == delay_s)
        self._run(timer)

    def _run(self, timer: tuple[float, Callable[[], object]]) -> None:
        self.waiting.remove(timer)
        timer[1]()
