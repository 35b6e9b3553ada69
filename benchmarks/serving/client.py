"""One simulated editor: it types into a file, and asks at each key."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter

import httpx2 as httpx
from attrs import define, field

from benchmarks.keystrokes.traces import Trace

_KEY_S, _READ_S = (0.15, 0.6), (1.0, 3.0)
"""Shortest and longest time between two keys, and of a look at a suggestion."""
OVERTAKEN = "closed for a newer one"
"""The status of a request whose connection the client closed."""


@define
class ClientRecord:
    """The answers to one client."""

    name: str
    shown_ms: list[float] = field(factory=list)
    """Milliseconds of each request that was answered."""
    statuses: Counter[str] = field(factory=Counter)
    retry_after_s: list[int] = field(factory=list)
    """Seconds after which refused requests were told to come again."""

    @property
    def answered(self) -> int:
        """Requests that were answered."""
        return len(self.shown_ms)


@define
class TypingClient:
    """A client that types a trace again and again until it is told to stop."""

    client: httpx.AsyncClient
    trace: Trace
    record: ClientRecord
    predict: int = 32
    _asking: asyncio.Task[None] | None = None

    async def type_until(self, end_s: float, seed: int) -> None:
        """Type until the clock reads ``end_s``; the pauses follow from the seed."""
        pauses = random.Random(seed)
        while time.perf_counter() < end_s:
            for event in self.trace.events:
                if time.perf_counter() >= end_s:
                    break
                if event.text:
                    await self._ask(event.text, event.cursor)
                # A pause of the trace is one to read a suggestion.
                key_s, read_s = pauses.uniform(*_KEY_S), pauses.uniform(*_READ_S)
                await asyncio.sleep(read_s if event.kind == "pause" else key_s)
        if self._asking is not None:
            await asyncio.wait({self._asking})

    async def _ask(self, text: str, cursor: int) -> None:
        """Send a request, and close the connection of the one before if it is not answered yet."""
        if self._asking is not None and not self._asking.done():
            self._asking.cancel()
            await asyncio.wait({self._asking})
            self.record.statuses[OVERTAKEN] += 1
        self._asking = asyncio.create_task(self._send(text, cursor))

    async def _send(self, text: str, cursor: int) -> None:
        began = time.perf_counter()
        body = {"input_prefix": text[:cursor], "input_suffix": text[cursor:], "n_predict": self.predict}
        headers = {"X-Client-Id": self.record.name}
        try:
            answer = await self.client.post("/infill", json=body, headers=headers)
        except httpx.HTTPError as error:
            self.record.statuses[type(error).__name__] += 1
            return
        self.record.statuses[str(answer.status_code)] += 1
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            self.record.retry_after_s.append(int(answer.headers["retry-after"]))
        if answer.status_code == httpx.codes.OK:
            self.record.shown_ms.append((time.perf_counter() - began) * 1000)
