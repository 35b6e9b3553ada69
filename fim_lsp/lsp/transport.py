"""How bytes come and go: stdio, or one client over TCP."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from typing import BinaryIO, NoReturn

from lsprotocol import types
from pygls.io_ import run_async

from fim_lsp.lsp.server import Server

logger = logging.getLogger(__name__)


def serve_stdio(server: Server, stdout: BinaryIO) -> NoReturn:
    """Serve the parent process over stdin and the given private stdout, until it leaves."""
    server.feature(types.EXIT)(_leave)
    server.start_io(sys.stdin.buffer, stdout)
    _leave(server)


def serve_tcp(server: Server, host: str, port: int) -> NoReturn:
    """Serve the first client that connects, refuse others meanwhile, and end when it leaves.

    pygls' own TCP loop hands the answers for a first client to a second one that connects (2.1.1).
    """
    server.feature(types.EXIT)(_leave)
    asyncio.run(_serve_one(server, host, port))
    _leave(server)


async def _serve_one(server: Server, host: str, port: int) -> None:
    client_left = asyncio.Event()
    taken = False

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        if taken:
            logger.warning("Refused a second client.")
            writer.close()
            return
        taken = True
        server.protocol.set_writer(writer)
        try:
            await run_async(threading.Event(), reader, server.protocol, logger, server.report_server_error)
        finally:
            writer.close()
            client_left.set()

    listener = await asyncio.start_server(connected, host, port)
    address = listener.sockets[0].getsockname()
    print(f"fim-lsp: listening on {address[0]}:{address[1]}", file=sys.stderr, flush=True)
    async with listener:
        await client_left.wait()


def _leave(server: Server, *_: object) -> NoReturn:
    """End the process at once, with LSP's exit code: 0 after a shutdown request, 1 without.

    Returning instead would hang: a thread of pygls still sits in a read of stdin that only the client can
    end (2.1.1). Everything worth closing was closed by ``shutdown``.
    """
    logging.shutdown()
    os._exit(0 if server.protocol.is_shut_down else 1)
