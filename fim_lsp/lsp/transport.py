"""Connect the server to its client: over stdio, or over TCP."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, BinaryIO, NoReturn, Protocol

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.io_ import StdinAsyncReader
from pygls.lsp.server import LanguageServer

from fim_lsp.lsp.server import Server

logger = logging.getLogger(__name__)


def serve_stdio(server: Server, stdout: BinaryIO) -> NoReturn:
    """Serve the parent process over stdin and the given private stdout, until it leaves."""
    server.feature(types.EXIT)(_exit)
    _end_on_interrupt(server)
    server.protocol.set_writer(_ClientOutput(stdout, server.leave))
    asyncio.run(read_messages(StdinAsyncReader(sys.stdin.buffer, server.thread_pool), server))
    _exit(server)


def serve_tcp(server: Server, host: str, port: int) -> NoReturn:
    """Serve the first client that connects, and end the process when it leaves."""
    server.feature(types.EXIT)(_exit)
    _end_on_interrupt(server)
    asyncio.run(serve_one_client(server, host, port, _print_address))
    _exit(server)


async def serve_one_client(
    server: Server, host: str, port: int, on_listening: Callable[[str, int], None]
) -> None:
    """Serve the first client that connects, and return when it leaves. Refuse others meanwhile.

    pygls' own TCP loop sends the answers for a first client to a second one that connects (2.1.1).

    Args:
        server: The server.
        host: The address to listen on.
        port: 0 for any free one.
        on_listening: Called with the address and port when clients may connect.
    """
    client_left = asyncio.Event()
    connected = False

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connected
        if connected:
            logger.warning("Refused a second client.")
            writer.close()
            return
        connected = True
        server.protocol.set_writer(writer)
        try:
            await read_messages(reader, server)
        finally:
            writer.close()
            client_left.set()

    listener = await asyncio.start_server(serve, host, port)
    address: Any = listener.sockets[0].getsockname()
    on_listening(address[0], address[1])
    async with listener:
        await client_left.wait()


class ByteSource(Protocol):
    """Stdin, or the stream of a TCP client."""

    def readline(self) -> Awaitable[bytes]:
        """Return the next line; nothing at the end."""
        ...

    def readexactly(self, n: int) -> Awaitable[bytes]:
        """Return the next bytes."""
        ...


_LENGTH = re.compile(rb"\s*content-length\s*:\s*(\d+)\s*", re.IGNORECASE)
_LARGE = 100_000
"""Bytes of a message beyond which the event loop does not decode it: 0.4 ms."""
_OBJECTS_AT_ONCE = 500
"""Objects that are decoded before other threads have their turn: 0.2 ms."""
_TURN_S = 0.0001


async def read_messages(source: ByteSource, server: LanguageServer) -> None:
    """Handle each message of a client, in their order, until the client leaves.

    pygls' own loop (2.1.1) knows one spelling of the header's name, though clients may write it in any case,
    as in HTTP. It also decodes the largest messages on the event loop.
    """
    length = 0
    while header := await source.readline():
        if not length and (found := _LENGTH.fullmatch(header)):
            length = int(found[1])
        if not length or header.strip():
            continue
        body = await source.readexactly(length)
        if not body:
            break
        length = 0
        try:
            message = await _decode_beside(body, server) if len(body) > _LARGE else json.loads(body)
            server.protocol.handle_message(message)
        except Exception as error:
            logger.exception("Unable to handle message")
            server.report_server_error(error, JsonRpcException)


async def _decode_beside(body: bytes, server: LanguageServer) -> Any:
    """Decode a message in the thread that reads stdin. Those of asyncio may wait for a disk."""
    return await asyncio.get_running_loop().run_in_executor(server.thread_pool, decode_in_turns, body)


def decode_in_turns(body: bytes) -> Any:
    """Decode a message, and let other threads run every few hundred objects. The decoder itself lets none."""
    numbers = count(1)

    def take_turns(value: dict[str, Any]) -> dict[str, Any]:
        if next(numbers) % _OBJECTS_AT_ONCE == 0:
            time.sleep(_TURN_S)
        return value

    return json.loads(body, object_hook=take_turns)


class _ClientOutput:
    """A binary output that ends the server when the client reads no more. pygls goes on without a client."""

    def __init__(self, stdout: BinaryIO, on_lost: Callable[[str], None]) -> None:
        self._stdout = stdout
        self._on_lost = on_lost
        self.close = stdout.close

    def write(self, data: bytes) -> None:
        try:
            self._stdout.write(data)
            self._stdout.flush()
        except (OSError, ValueError):  # a broken pipe, or a closed file
            self._on_lost("The client reads no more")

    def flush(self) -> None:
        """Do nothing: each message is flushed when it is written."""


def _end_on_interrupt(server: Server) -> None:
    """End at Ctrl+C. asyncio would wait for the thread that reads stdin."""
    signal.signal(signal.SIGINT, lambda *_: _exit(server))


def _print_address(host: str, port: int) -> None:
    print(f"fim-lsp: listening on {host}:{port}", file=sys.stderr, flush=True)


def _exit(server: Server, *_: object) -> NoReturn:
    """End the process at once, with LSP's exit code: 0 after a shutdown request, 1 without.

    Returning instead would hang, because a thread of pygls still sits in a read of stdin that only the client
    can end (2.1.1). ``shutdown`` has closed everything that needs closing.
    """
    logging.shutdown()
    os._exit(0 if server.protocol.is_shut_down else 1)
