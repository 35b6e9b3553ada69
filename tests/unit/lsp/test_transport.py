from __future__ import annotations

import asyncio
import json
import logging

import pytest
from pygls.lsp.server import LanguageServer

from fim_lsp.engine.scripted import ScriptedEngine
from fim_lsp.lsp.rpc import Protocol, make_converter
from fim_lsp.lsp.server import create_server
from fim_lsp.lsp.transport import read_messages, serve_one_client


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


class _Received(Protocol):
    """Keeps the messages instead of handling them."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.numbers = []

    def handle_message(self, message):
        self.numbers.append(message["number"])


def _stream(*bodies: bytes, header: bytes = b"Content-Length") -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    for body in bodies:
        reader.feed_data(header + b": %d\r\nContent-Type: any\r\n\r\n" % len(body) + body)
    reader.feed_eof()
    return reader


def _message(number: int, objects: int = 0) -> bytes:
    return json.dumps({"number": number, "list": [{"uri": "file:///a.py"}] * objects}).encode()


@pytest.fixture
def receiving():
    server = LanguageServer("test", "1", protocol_cls=_Received, converter_factory=make_converter)
    yield server
    server.shutdown()


async def test_messages_keep_their_order_whatever_their_size(receiving):
    sizes = (0, 20_000, 0, 1, 30_000, 10_000, 0)
    await read_messages(_stream(*(_message(*each) for each in enumerate(sizes))), receiving)
    assert receiving.protocol.numbers == list(range(len(sizes)))


async def test_the_event_loop_has_its_turns_while_a_large_message_is_decoded(receiving):
    reading = asyncio.create_task(read_messages(_stream(_message(1, 50_000)), receiving))
    await asyncio.sleep(0)
    turns = 0
    while not receiving.protocol.numbers:
        await asyncio.sleep(0)
        turns += 1
    await reading
    assert turns >= 50


async def test_what_is_no_message_is_skipped_whatever_its_size(receiving, caplog):
    junk = (b"{not json", b"\xff\xfe\x00", b"[" * 200_000, b'{"number": 2' + b" " * 200_000)
    await read_messages(_stream(_message(1), *junk, _message(3)), receiving)
    assert receiving.protocol.numbers == [1, 3]
    assert caplog.text.count("Unable to handle message") == len(junk)
