"""Call functions that may hang, such as reads from a network drive, and give up on them after a time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
_Job = tuple[Callable[[], Any], "queue.SimpleQueue[tuple[Any, BaseException | None]]"]


class TimeLimit:
    """Calls functions one after the other on a thread of its own; one that hangs loses its thread.

    Args:
        seconds: Time that a call may take.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._jobs: queue.SimpleQueue[_Job] | None = None

    def call(self, function: Callable[[], T]) -> T:
        """Return what a function returns, or raise what it raises.

        Raises:
            TimeoutError: it took too long. It goes on in its thread, which ends with the process.
        """
        if self._jobs is None:
            self._jobs = queue.SimpleQueue()
            threading.Thread(target=_work, args=(self._jobs,), daemon=True).start()
        answer: queue.SimpleQueue[tuple[T, BaseException | None]] = queue.SimpleQueue()
        self._jobs.put((function, answer))
        try:
            result, error = answer.get(timeout=self.seconds)
        except queue.Empty:
            self._jobs = None
            raise TimeoutError(f"no answer in {self.seconds:g} s") from None
        if error is not None:
            raise error
        return result


def _work(jobs: queue.SimpleQueue[_Job]) -> None:
    while True:
        function, answer = jobs.get()
        try:
            answer.put((function(), None))
        except BaseException as error:
            answer.put((None, error))
