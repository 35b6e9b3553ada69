from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import httpx2 as httpx
import pytest

from fim_lsp.serving.exchange import BodyLimits
from tests.unit.serving.conftest import HOST

ENDPOINTS = {
    "/v1/completions": "prompt",
    "/infill": "input_prefix",
    "/completion": "prompt",
    "/generate": "inputs",
    "/generate_stream": "inputs",
    "/api/generate": "prompt",
}


NO_REQUESTS = (
    b"",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b'{"prompt": "\xff\xfe"}',
    b'{"prompt": NaN}',
    b"[" * 100_000,
    b'{"prompt": ' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"prompt": ' + b"9" * 5000 + b"}",
    b"prompt=x",
)


@pytest.mark.parametrize("path", ENDPOINTS)
async def test_bodies_that_are_no_request(serve, path):
    server = await serve()
    for body in NO_REQUESTS:
        answer = await server.client.post(path, content=body)
        assert answer.status_code == 400, body[:40]
        assert answer.json()["error"]
    assert server.prompts == []


@pytest.mark.parametrize(("path", "name"), ENDPOINTS.items())
async def test_unknown_fields_are_named(serve, path, name):
    server = await serve()
    answer = await server.post(path, {name: "x", "temprature": 1})
    assert answer.status_code == 400
    assert "temprature" in answer.text


@pytest.mark.parametrize(("path", "name"), ENDPOINTS.items())
async def test_lone_surrogates_become_replacement_characters(serve, path, name):
    server = await serve(lambda prompt: "ok" if "�" in prompt else "lost")
    answer = await server.client.post(path, content=f'{{"{name}": "a\\ud83d"}}'.encode())
    assert answer.status_code == 200
    assert "ok" in "".join(answer.text.split('"text":"')[-1:]) or '"o"' in answer.text


async def test_lone_surrogates_in_names_do_no_harm(serve):
    server = await serve()
    answer = await server.client.post("/v1/completions", content=b'{"prompt": "a", "\\ud83d": 1}')
    assert answer.status_code == 400
    answer = await server.client.post("/v1/completions", content=b'{"prompt": "a", "model": "\\ud83d"}')
    assert answer.status_code == 404


async def test_body_of_100_megabytes_is_refused_before_it_is_read(serve):
    server = await serve()
    reader, writer = await asyncio.open_connection(HOST, server.port)
    writer.write(f"POST /infill HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100000000\r\n\r\n".encode())
    status = await asyncio.wait_for(reader.readline(), 5)
    assert b"413" in status
    writer.close()


async def test_body_without_a_length_is_refused_once_it_is_too_large(serve):
    server = await serve(body=BodyLimits(most_bytes=100_000))
    sent = 0

    async def parts() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 10_000
            yield b" " * 10_000
            await asyncio.sleep(0.001)

    # The client sees the answer, or the connection close while it still sends.
    with contextlib.suppress(httpx.TransportError):
        answer = await server.client.post("/v1/completions", content=parts())
        assert answer.status_code == 413
    assert sent < 10_000_000
    assert await server.text(prompt="x") == "return 1"


async def test_body_that_never_ends_is_refused_in_time(serve):
    server = await serve(body=BodyLimits(most_s=0.2))
    reader, writer = await asyncio.open_connection(HOST, server.port)
    writer.write(f"POST /infill HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1000\r\n\r\n{{".encode())
    status = await asyncio.wait_for(reader.readline(), 5)
    assert b"408" in status
    writer.close()


async def test_client_that_leaves_in_its_body_is_forgotten(serve):
    server = await serve()
    _, writer = await asyncio.open_connection(HOST, server.port)
    writer.write(f"POST /infill HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1000\r\n\r\n{{".encode())
    await writer.drain()
    writer.close()
    assert await server.text(prompt="x") == "return 1"


@pytest.mark.parametrize("path", ["/completion", "/generate", "/api/generate", "/v1/completions"])
async def test_prompts_over_the_context(serve, path):
    server = await serve()
    answer = await server.post(path, {ENDPOINTS[path]: "x" * 5000})
    assert answer.status_code == 400
    assert "context window" in answer.text


async def test_prompt_over_the_context_in_a_stream_has_its_status(serve):
    server = await serve()
    answer = await server.post("/v1/completions", prompt="x" * 5000, stream=True)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")


async def test_error_in_the_middle_of_a_stream_is_told(serve):
    server = await serve(lambda prompt: prompt.upper())
    answer = await server.post("/v1/completions", prompt=["a", "x" * 5000], stream=True)
    *_, error, done = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert json.loads(error)["error"]["code"] == "context_length_exceeded"
    assert done == "[DONE]"


async def test_empty_prompt_is_refused(serve):
    server = await serve()
    assert (await server.post("/v1/completions", prompt="")).status_code == 400
    # Nothing around a hole is a new file.
    assert (await server.post("/v1/completions", prompt="", suffix="")).status_code == 200
