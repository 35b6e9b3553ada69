"""Let one generation after another run, and let no client wait because another one asks more often.

A request is admitted only if its turn, as far as is known, ends before its deadline; otherwise it is refused
at once, with the seconds after which it would be admitted. The estimate is the mean length of a turn, times
the turns in front of it. It may be wrong: turns become longer, or a client comes that was served longer ago.
A request that still waits at its deadline is then refused like one that came too late.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import Callable, Iterator

from attrs import field, frozen
from cachetools import LRUCache

from fim_lsp.serving.refusals import RefusedError

_REMEMBERED_CLIENTS = 1024
_LATEST_SHARE = 0.1
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


@frozen(eq=False)
class _WaitingRequest:
    """A request that waits for its turn."""

    number: int
    """Counts the requests that ever waited."""
    client: str
    place: int | None
    deadline_s: float
    turn: asyncio.Future[None] = field(repr=False)


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
        self._waiting: dict[str, list[_WaitingRequest]] = {}
        self._served: LRUCache[str, int] = LRUCache(_REMEMBERED_CLIENTS)
        """Number of each client's last turn."""
        self._turns = 0
        self._numbers = itertools.count(1)
        self._began_s: float | None = None
        self._mean_s: float | None = None

    @property
    def running(self) -> bool:
        """True while a turn is in use."""
        return self._began_s is not None

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return sum(map(len, self._waiting.values()))

    @property
    def mean_turn_s(self) -> float:
        """Mean seconds of the last turns; 0 before the first one."""
        return self._mean_s or 0.0

    async def enter(
        self, client: str, *, place: int | None = None, deadline_s: float = math.inf
    ) -> QueueTurn:
        """Wait for a turn. Where nothing runs or waits, it comes at once, whatever was measured.

        Args:
            client: a name that the client's requests share.
            place: the place in the code that the request is for. Where there is no room, the older requests
                of the same client and place are dropped first: its user has typed on.
            deadline_s: reading of the clock at which the request has to be answered.

        Raises:
            RefusedError: too many requests wait; it says when to try again.
        """
        if self.running or self._waiting:
            turn = asyncio.get_running_loop().create_future()
            request = _WaitingRequest(next(self._numbers), client, place, deadline_s, turn)
            self._admit(request)
            await self._wait(request)
        self._turns += 1
        self._served[client] = self._turns
        self._began_s = self._clock()
        return QueueTurn(self._leave)

    # --- Admission

    def _admit(self, request: _WaitingRequest) -> None:
        """Let a request wait, if it can be answered in time.

        Raises:
            RefusedError: it can't, even without the requests that newer ones have overtaken.
        """
        refusal = self._refusal(request)
        for overtaken in self._overtaken_with(request):
            if refusal is None:
                break
            self._refuse(overtaken, "A newer request for the same place has overtaken this one.")
            refusal = self._refusal(request)
        if refusal is not None:
            raise refusal
        self._waiting.setdefault(request.client, []).append(request)

    def _overtaken_with(self, newest: _WaitingRequest) -> list[_WaitingRequest]:
        """Return the requests that newer ones of the same client and place overtook, the oldest first."""
        known, overtaken = {(newest.client, newest.place)}, []
        for request in sorted(self._all(), key=lambda waiting: -waiting.number):
            if (request.client, request.place) in known and request.place is not None:
                overtaken.append(request)
            known.add((request.client, request.place))
        return overtaken[::-1]

    def _refusal(self, request: _WaitingRequest) -> RefusedError | None:
        """Return the reason why a request can't wait."""
        own = self._waiting.get(request.client, ())
        if len(own) >= self._client_limit:
            # There is room again once the first of its own has its turn.
            after_s = self._wait_s(request.client, 0)
            return _too_many("Too many requests of this client are waiting.", after_s)
        if self.waiting >= self._limit:
            return _too_many("Too many requests are waiting.", self.mean_turn_s)
        left_s = request.deadline_s - self._clock()
        took_s = self._wait_s(request.client, len(own)) + self.mean_turn_s
        if took_s <= left_s:
            return None
        problem = f"The answer would take about {took_s:.0f} s, and the request has {max(0.0, left_s):.0f} s."
        return _too_many(problem, took_s - left_s)

    def _wait_s(self, client: str, own: int) -> float:
        """Return the seconds that a client's request is expected to wait behind ``own`` others of it."""
        last = self._served.get(client, 0)
        others = sum(
            min(len(waiting), own + (self._served.get(other, 0) <= last))
            for other, waiting in self._waiting.items()
            if other != client
        )
        return self.mean_turn_s * (self.running + own + others)

    # --- Waiting

    async def _wait(self, request: _WaitingRequest) -> None:
        left_s = request.deadline_s - self._clock()
        timer = None
        if left_s < math.inf:
            timer = asyncio.get_running_loop().call_later(max(0.0, left_s), self._expire, request)
        turn = request.turn
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.done() or turn.cancelled():
                self._drop(request)
            elif turn.exception() is None:
                self._next()  # the turn had just been given
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _all(self) -> Iterator[_WaitingRequest]:
        return itertools.chain.from_iterable(self._waiting.values())

    def _expire(self, request: _WaitingRequest) -> None:
        self._refuse(request, "The requests in front of this one took longer than expected.")

    def _refuse(self, request: _WaitingRequest, problem: str) -> None:
        self._drop(request)
        if not request.turn.done():
            after_s = self._wait_s(request.client, len(self._waiting.get(request.client, ())))
            request.turn.set_exception(_too_many(problem, after_s))

    def _drop(self, request: _WaitingRequest) -> None:
        waiting = self._waiting.get(request.client)
        if waiting is not None and request in waiting:
            waiting.remove(request)
            if not waiting:
                del self._waiting[request.client]

    # --- Turns

    def _leave(self) -> None:
        if self._began_s is not None:
            took_s = self._clock() - self._began_s
            before_s = took_s if self._mean_s is None else self._mean_s
            self._mean_s = before_s + _LATEST_SHARE * (took_s - before_s)
        self._next()

    def _next(self) -> None:
        self._began_s = None
        while self._waiting:
            client = min(self._waiting, key=lambda waiting: self._served.get(waiting, 0))
            request = self._waiting[client][0]
            if request.deadline_s <= self._clock():
                self._expire(request)
                continue
            self._drop(request)
            if not request.turn.done():  # else it was cancelled a moment ago
                # Taken at once, so that no newcomer slips in before the one that waited runs.
                self._began_s = self._clock()
                request.turn.set_result(None)
                return


def _too_many(problem: str, after_s: float) -> RefusedError:
    """Return a refusal that says after how many seconds there is room, as far as is known."""
    seconds = max(1, math.ceil(after_s))
    return RefusedError(
        429, problem, f"Try again in {seconds} s.", name="too_many_requests", retry_after_s=seconds
    )
