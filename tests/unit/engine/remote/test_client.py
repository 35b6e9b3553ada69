"""The connections of a client."""

from __future__ import annotations

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from fim_lsp.engine.remote import client
from fim_lsp.engine.remote.address import parse_address
from fim_lsp.engine.remote.client import Client

OTHERS_KEEP_S = 5.0
"""Seconds after which llama-server and uvicorn close an unused connection."""


def connections_of(gets: int, pause_s: float) -> int:
    """Return how many connections a client opens for some requests with pauses in between."""
    ports = set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            ports.add(self.client_address[1])
            body = json.dumps({}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    async def ask() -> None:
        asking = Client(parse_address(f"http://127.0.0.1:{http.server_port}"))
        for _ in range(gets):
            await asking.get("/props")
            await asyncio.sleep(pause_s)
        await asking.close()

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        asyncio.run(ask())
    finally:
        http.shutdown()
        http.server_close()
    return len(ports)


def test_a_connection_is_used_again():
    assert connections_of(3, 0) == 1


def test_a_connection_that_the_server_may_be_closing_is_not_used(monkeypatch):
    assert client.KEPT_S < OTHERS_KEEP_S
    monkeypatch.setattr(client, "KEPT_S", 0.01)
    assert connections_of(3, 0.05) == 3
