"""Act when something was not used for a while.

An editor may stay open over night, while its model holds hundreds of megabytes that other programs could use.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from fim_lsp.timers import CancelTimer, RunLater, run_later

logger = logging.getLogger(__name__)


class IdleTimer:
    """Acts once after each time without use. Lives on one asyncio loop; starts disarmed.

    Args:
        act: Called once for each idle time.
        busy: Returns whether work goes on that no user waits for. The time then begins again.
        run_later: Starts a timer.
    """

    def __init__(
        self, act: Callable[[], Awaitable[None]], busy: Callable[[], bool], run_later: RunLater = run_later
    ) -> None:
        self._act = act
        self._busy = busy
        self._run_later = run_later
        self._after_s: float | None = None
        self._users = 0
        self._cancel_timer: CancelTimer | None = None
        self._acting: asyncio.Task[None] | None = None

    def arm(self, after_s: float | None) -> None:
        """Act after this many seconds without use, beginning now. Never act if it is None or 0."""
        self._after_s = after_s or None
        self._restart()

    def stop(self) -> None:
        """Never act again."""
        self.arm(None)

    @contextmanager
    def used(self) -> Iterator[None]:
        """Do not act inside of this block. The idle time begins when the last such block is left."""
        self._users += 1
        self._cancel()
        try:
            yield
        finally:
            self._users -= 1
            self._restart()

    def _restart(self) -> None:
        self._cancel()
        if self._after_s is not None and not self._users:
            self._cancel_timer = self._run_later(self._after_s, self._on_time)

    def _cancel(self) -> None:
        if self._cancel_timer is not None:
            self._cancel_timer()
            self._cancel_timer = None

    def _on_time(self) -> None:
        self._cancel_timer = None
        if self._busy():
            self._restart()
        else:
            self._acting = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            await self._act()
        except Exception:
            logger.exception("The action of an idle timer failed")
