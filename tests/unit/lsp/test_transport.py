from __future__ import annotations

import asyncio
import json
import logging

from fim_lsp.engine.scripted import ScriptedEngine
from fim_lsp.lsp.server import create_server
from fim_lsp.lsp.transport import serve_one_client


async def test_one_client_is_served_over_tcp_and_a_second_one_refused(caplog):
    server = create_server(lambda *_: ScriptedEngine(lambda _: ""))
    listening: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
    serving = asyncio.create_task(
        serve_one_client(server, "127.0.0.1", 0, lambda *address: listening.put_nowait(address))
    )
    host, port = await asyncio.wait_for(listening.get(), 5)
    reader, writer = await asyncio.open_connection(host, port)
    params = {"processId": None, "rootUri": None, "capabilities": {}}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}).encode()
    writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"Content-Length")
    with caplog.at_level(logging.WARNING):
        refused, other = await asyncio.open_connection(host, port)
        assert await asyncio.wait_for(refused.read(), 5) == b""
    assert "second client" in caplog.text
    assert not serving.done()
    other.close()
    writer.close()
    await asyncio.wait_for(serving, 5)
