"""Connect the server to its client: over stdio, or over TCP."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, NoReturn

from lsprotocol import types
from pygls.io_ import run_async

from fim_lsp.lsp.server import Server

logger = logging.getLogger(__name__)


def serve_stdio(server: Server, stdout: BinaryIO) -> NoReturn:
    """Serve the parent process over stdin and the given private stdout, until it leaves."""
    server.feature(types.EXIT)(_exit)
    server.start_io(sys.stdin.buffer, stdout)
    _exit(server)


def serve_tcp(server: Server, host: str, port: int) -> NoReturn:
    """Serve the first client that connects, and end the process when it leaves."""
    server.feature(types.EXIT)(_exit)
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
            await run_async(threading.Event(), reader, server.protocol, logger, server.report_server_error)
        finally:
            writer.close()
            client_left.set()

    listener = await asyncio.start_server(serve, host, port)
    address: Any = listener.sockets[0].getsockname()
    on_listening(address[0], address[1])
    async with listener:
        await client_left.wait()


def _print_address(host: str, port: int) -> None:
    print(f"fim-lsp: listening on {host}:{port}", file=sys.stderr, flush=True)


def _exit(server: Server, *_: object) -> NoReturn:
    """End the process at once, with LSP's exit code: 0 after a shutdown request, 1 without.

    Returning instead would hang, because a thread of pygls still sits in a read of stdin that only the client
    can end (2.1.1). ``shutdown`` has closed everything that needs closing.
    """
    logging.shutdown()
    os._exit(0 if server.protocol.is_shut_down else 1)
