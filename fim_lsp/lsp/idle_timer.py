"""When nobody needs the model: a wait that begins anew with each use.

An editor stays open over night, and a model that is not asked for anything holds hundreds of megabytes of
which others could make use.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)


class IdleTimer:
    """Does something once nothing was used for a while. Lives on one asyncio loop; starts disarmed.

    Args:
        act: What to do; called once for each time of rest.
        busy: Whether work goes on that nobody waits for; the wait then begins anew.
    """

    def __init__(self, act: Callable[[], Awaitable[None]], busy: Callable[[], bool]) -> None:
        self._act = act
        self._busy = busy
        self._after_s: float | None = None
        self._users = 0
        self._timer: asyncio.TimerHandle | None = None
        self._acting: asyncio.Task[None] | None = None

    def arm(self, after_s: float | None) -> None:
        """Wait so long from now on, beginning now; None or 0 for ever."""
        self._after_s = after_s or None
        self._begin()

    def stop(self) -> None:
        """Never act again."""
        self.arm(None)

    @contextmanager
    def used(self) -> Iterator[None]:
        """No rest while this is open; the wait begins when the last of them is left."""
        self._users += 1
        self._cancel()
        try:
            yield
        finally:
            self._users -= 1
            self._begin()

    def _begin(self) -> None:
        self._cancel()
        if self._after_s is not None and not self._users:
            self._timer = asyncio.get_running_loop().call_later(self._after_s, self._due)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        if self._busy():
            self._begin()
        else:
            self._acting = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            await self._act()
        except Exception:
            logger.exception("What was to be done at rest failed")
