"""Connect the server to its client: over stdio, or over TCP."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, NoReturn, cast

from lsprotocol import types
from pygls.io_ import run_async

from fim_lsp.lsp.server import Server

logger = logging.getLogger(__name__)


def serve_stdio(server: Server, stdout: BinaryIO) -> NoReturn:
    """Serve the parent process over stdin and the given private stdout, until it leaves."""
    server.feature(types.EXIT)(_exit)
    _end_on_interrupt(server)
    server.start_io(
        cast(BinaryIO, _HeaderInput(sys.stdin.buffer)), cast(BinaryIO, _ClientOutput(stdout, server.leave))
    )
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
            await run_async(
                threading.Event(), _HeaderReader(reader), server.protocol, logger, server.report_server_error
            )
        finally:
            writer.close()
            client_left.set()

    listener = await asyncio.start_server(serve, host, port)
    address: Any = listener.sockets[0].getsockname()
    on_listening(address[0], address[1])
    async with listener:
        await client_left.wait()


_LENGTH = re.compile(rb"\s*content-length\s*:\s*(\d+)\s*", re.IGNORECASE)


def canonical_header(line: bytes) -> bytes:
    """Return a line with the one spelling of the length that pygls knows (2.1.1). Other lines stay.

    Clients may write header names in any case, as in HTTP: ``content-length:5`` -> ``Content-Length: 5``.
    """
    found = _LENGTH.fullmatch(line)
    return b"Content-Length: " + found[1] + b"\r\n" if found else line


class _HeaderInput:
    """A binary input whose headers are spelled as pygls expects."""

    def __init__(self, stdin: BinaryIO) -> None:
        self._stdin = stdin
        self.read = stdin.read

    def readline(self) -> bytes:
        return canonical_header(self._stdin.readline())


class _HeaderReader:
    """The same for a stream."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self.readexactly = reader.readexactly

    async def readline(self) -> bytes:
        return canonical_header(await self._reader.readline())


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
