"""Let one generation after another run, and let no client wait because another one asks more often."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable

from cachetools import LRUCache

from fim_lsp.serving.refusals import RefusedError

_REMEMBERED_CLIENTS = 1024
_LATEST_SHARE = 0.2
"""Weight of the last turn in the mean length of a turn."""


class QueueTurn:
    """The right to use the model, until it is released."""

    def __init__(self, release: Callable[[], None]) -> None:
        self._release: Callable[[], None] | None = release

    def release(self) -> None:
        """Let the next one have its turn. A second call does nothing."""
        release, self._release = self._release, None
        if release is not None:
            release()


class FairQueue:
    """Of all clients that wait, the one whose last turn is longest ago is next. Lives on one asyncio loop.

    Args:
        limit: most requests that wait.
        client_limit: most requests of one client that wait.
        clock: seconds of any steady clock.
    """

    def __init__(self, limit: int, client_limit: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self._limit = limit
        self._client_limit = client_limit
        self._clock = clock
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._served: LRUCache[str, int] = LRUCache(_REMEMBERED_CLIENTS)
        """Number of each client's last turn."""
        self._turns = 0
        self._began_s: float | None = None
        self._mean_s = 1.0

    @property
    def running(self) -> bool:
        """True while a turn is in use."""
        return self._began_s is not None

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return sum(map(len, self._waiting.values()))

    async def enter(self, client: str) -> QueueTurn:
        """Wait for a turn.

        Raises:
            RefusedError: too many requests wait; it says when to try again.
        """
        if self.running or self._waiting:
            await self._wait(client)
        self._turns += 1
        self._served[client] = self._turns
        self._began_s = self._clock()
        return QueueTurn(self._leave)

    async def _wait(self, client: str) -> None:
        own = self._waiting.get(client, ())
        if self.waiting >= self._limit or len(own) >= self._client_limit:
            whose = "of this client " if len(own) >= self._client_limit else ""
            seconds = max(1, math.ceil(self._mean_s * (len(own) + 1)))
            raise RefusedError(
                429,
                f"Too many requests {whose}are waiting.",
                f"Try again in {seconds} s.",
                name="too_many_requests",
                retry_after_s=seconds,
            )
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(future)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._next()  # the turn had just been given
            else:
                self._drop(client, future)
            raise

    def _drop(self, client: str, future: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(client)
        if waiting is not None and future in waiting:
            waiting.remove(future)
            if not waiting:
                del self._waiting[client]

    def _leave(self) -> None:
        if self._began_s is not None:
            took_s = self._clock() - self._began_s
            self._mean_s += _LATEST_SHARE * (took_s - self._mean_s)
        self._next()

    def _next(self) -> None:
        self._began_s = None
        while self._waiting:
            client = min(self._waiting, key=lambda waiting: self._served.get(waiting, 0))
            future = self._waiting[client].popleft()
            if not self._waiting[client]:
                del self._waiting[client]
            if not future.done():  # else it was cancelled a moment ago
                # Taken at once, so that no newcomer slips in before the one that waited runs.
                self._began_s = self._clock()
                future.set_result(None)
                return
