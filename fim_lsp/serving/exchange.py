"""One HTTP request from its body to its answer: limits while reading, and a watch on the connection."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from attrs import define, field, frozen
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from fim_lsp.serving.fields import Fields, parse_body
from fim_lsp.serving.orders import Outcome, ServedPiece
from fim_lsp.serving.refusals import ErrorAnswer, Protocol, RefusedError, answer_of, refusal_of

logger = logging.getLogger(__name__)
T = TypeVar("T")


class GoneError(Exception):
    """The client closed the connection."""


@frozen
class BodyLimits:
    """The most that a client may send, and how long it may take."""

    most_bytes: int = 4_000_000
    most_s: float = 10.0


async def read_fields(request: Request, limits: BodyLimits) -> Fields:
    """Read the JSON object of a request.

    Raises:
        RefusedError: too large, too slow, or no JSON object.
        GoneError: the client went away.
    """
    values = await read_json(request, limits)
    if not isinstance(values, dict):
        raise RefusedError(400, "The body is no JSON object.", "Send one JSON object.")
    return Fields(values)


async def read_json(request: Request, limits: BodyLimits) -> Any:
    """Read the JSON of a request.

    Raises:
        RefusedError: too large, too slow, or no JSON.
        GoneError: the client went away.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limits.most_bytes:
        raise _too_large(limits)
    try:
        body = await asyncio.wait_for(_read(request, limits), limits.most_s)
    except asyncio.TimeoutError:
        raise RefusedError(408, f"The body did not come within {limits.most_s:g} s.") from None
    return parse_body(body)


async def _read(request: Request, limits: BodyLimits) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise GoneError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limits.most_bytes:
            raise _too_large(limits)
        if not message.get("more_body", False):
            return b"".join(parts)


def _too_large(limits: BodyLimits) -> RefusedError:
    return RefusedError(
        413, f"The body is larger than {limits.most_bytes} bytes.", "Send only the text around the cursor."
    )


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """Await work, and cancel it as soon as the client closes the connection.

    Raises:
        GoneError: the client went away.
    """
    task = asyncio.ensure_future(work)
    watch = asyncio.create_task(_closed(request.receive))
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise GoneError
        return await task
    finally:
        await _end(watch)
        await _end(task)


async def _closed(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(task: asyncio.Future[Any]) -> None:
    """Cancel a task and wait for its end, whatever that is."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


@define
class PieceStream:
    """The pieces of an outcome on their way to the client."""

    _queue: asyncio.Queue[ServedPiece | None] = field(factory=asyncio.Queue, init=False)
    _task: asyncio.Task[Outcome] | None = field(default=None, init=False)

    def start(self, complete: Callable[[Callable[[ServedPiece], None]], Awaitable[Outcome]]) -> None:
        """Begin to complete; ``complete`` gets the function that takes the pieces."""

        async def run() -> Outcome:
            try:
                return await complete(self._queue.put_nowait)
            finally:
                self._queue.put_nowait(None)

        self._task = asyncio.create_task(run())

    async def first(self) -> ServedPiece | None:
        """Wait for the first piece; None if there is none.

        Raises:
            Exception: that of the completion.
        """
        piece = await self._queue.get()
        if piece is None:
            await self.outcome()
        return piece

    async def pieces(self, first: ServedPiece | None) -> AsyncIterator[ServedPiece]:
        """Yield the pieces from the first one on."""
        piece = first
        while piece is not None:
            yield piece
            piece = await self._queue.get()

    async def outcome(self) -> Outcome:
        """Wait for the outcome."""
        assert self._task is not None
        return await self._task

    async def close(self) -> None:
        """Abort the completion if it runs still."""
        if self._task is not None:
            await _end(self._task)


class StreamedResponse(Response):
    """An answer that is sent piece by piece, and whose work ends with its connection.

    Args:
        parts: the parts, as they come.
        close: called at the end, also when the client went away.
        on_gone: called if the client went away.
        media_type: of the whole.
    """

    def __init__(
        self,
        parts: AsyncIterator[bytes],
        close: Callable[[], Awaitable[None]],
        on_gone: Callable[[], None],
        media_type: str,
    ) -> None:
        self._parts = parts
        self._close = close
        self._on_gone = on_gone
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        # Buffering proxies would hold the stream back.
        self.init_headers({"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        sending = asyncio.create_task(self._send(send))
        watch = asyncio.create_task(_closed(receive))
        try:
            await asyncio.wait({sending, watch}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                await sending
            else:
                self._on_gone()
        finally:
            await self._close()
            await _end(sending)
            await _end(watch)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async for part in self._parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def error_response(error: Exception, protocol: Protocol) -> Response:
    """Return the answer to a request that failed, in its protocol's shape."""
    answer = error_answer(error, protocol)
    return JSONResponse(answer.body, answer.status, answer.headers)


def error_answer(error: Exception, protocol: Protocol) -> ErrorAnswer:
    """Return a failure in a protocol's shape, and log what was not to be expected.

    The message of an unexpected error is not logged, because it may quote the client's code.
    """
    refusal = refusal_of(error)
    if refusal.status == 500:
        trace = "".join(traceback.format_tb(error.__traceback__))
        logger.error("A request failed with %s:\n%s", type(error).__name__, trace)
    return answer_of(refusal, protocol)
