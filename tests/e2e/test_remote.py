"""The real server with a model on another one: it is killed, it is not to be trusted, it is named."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from tests.e2e.conftest import start
from tests.llama_server_process import LlamaServerProcess, find_llama_server
from tests.stand_in_server import StandInServer, running

CODE = "def very_private_name(numbers):\n    total = sum(numbers)\n    return tot█\n\n\nprint(1)\n"
LONG = "".join(f"def f{index}(x):\n    return x * {index}\n\n\n" for index in range(60))
NO_CACHE = {"completion": {"cacheSize": 0}}


def flags(url: str, *more: str) -> tuple[str, ...]:
    settings = (f"model.remote.url={url}", "feedback.enabled=false", "model.kvStateMb=0", *more)
    return tuple(part for setting in settings for part in ("--set", setting))


async def test_suggestions_come_from_the_server_and_the_status_names_it():
    with running(StandInServer(answer=lambda _: "al / len(numbers)\n")) as server:
        async with start(*flags(server.url)) as editor:
            host = server.url.removeprefix("http://")
            assert (await editor.ready()).message.endswith(f"on {host}")
            editor.open(CODE)
            (item,) = await editor.items()
            assert item.insert_text.endswith("return total / len(numbers)")
            assert (await editor.explain()).host == host


@pytest.mark.model
async def test_the_editor_goes_on_with_the_local_model_when_the_server_is_killed_in_mid_word(
    model_path, tmp_path
):
    binary = find_llama_server()
    if binary is None:
        pytest.skip("there is no llama-server: build one with make bench, or set FIM_LSP_LLAMA_SERVER")
    with LlamaServerProcess.start(binary, model_path, 2048, tmp_path) as server:
        chosen = flags(
            server.url, "model.fallback=default", "model.speculation=off", "model.template=smollm2"
        )
        async with start(*chosen, options=NO_CACHE) as editor:
            await editor.ready()
            editor.open(CODE.replace("█", "").replace("tot\n", "tot█\n"))
            assert (await asyncio.wait_for(editor.ask(invoked=True).answer, 60)) is not None
            assert (await editor.explain()).host
            editor.open(LONG + CODE, uri="file:///project/long.py")
            asked = editor.ask(invoked=True)
            await asyncio.sleep(0.05)
            server.process.kill()
            killed_at = time.monotonic()
            answer = await asyncio.wait_for(asked.answer, 60)
            print(f"answered {time.monotonic() - killed_at:.2f} s after the kill")
            explanation = await editor.explain()
            assert answer is not None
            assert explanation.model.startswith("fim-lsp 135M")
            assert "on this machine answers meanwhile" in editor.client.messages[-1].message
            # The next one is not told again, and does not wait for the server.
            told = len(editor.client.messages)
            editor.type("a")
            await editor.items(invoked=True)
            assert (await editor.explain()).model.startswith("fim-lsp 135M")
            assert len(editor.client.messages) == told


async def test_a_workspace_can_not_send_code_to_a_server():
    with running(StandInServer()) as server:
        hostile = {"model": {"remote": {"url": server.url}}}
        with running(StandInServer(answer=lambda _: "al")) as own:
            async with start(*flags(own.url), options=hostile, configuration=hostile) as editor:
                await editor.ready()
                editor.open(CODE)
                await editor.items(invoked=True)
                assert any("model.remote.url" in message.message for message in editor.client.messages)
        assert server.requests == []
        assert own.completions


async def test_neither_token_nor_code_is_logged(tmp_path):
    log = tmp_path / "log.txt"
    env = {**os.environ, "FIM_LSP_REMOTE_TOKEN": "very-secret-token"}
    with running(StandInServer(answer=lambda _: "al / len(numbers)\n")) as server:
        async with start(
            "--log-file", str(log), "-v", *flags(server.url), env=env, options=NO_CACHE
        ) as editor:
            await editor.ready()
            editor.open(CODE)
            assert await editor.items(invoked=True)
            server.fault = "500"
            editor.type("a")
            assert not await editor.items(invoked=True)
            shown = [message.message for message in (*editor.client.messages, *editor.client.log_messages)]
    assert {request.headers.get("Authorization") for request in server.requests} == {
        "Bearer very-secret-token"
    }
    everything = log.read_text(encoding="utf-8") + "\n".join(shown)
    assert "status 500" in everything
    for private in ("very-secret-token", "very_private_name", "secret code"):
        assert private not in everything


async def test_a_server_that_never_answers_hangs_neither_the_editor_nor_the_end(tmp_path):
    with running(StandInServer(answer=lambda _: "al")) as server:
        async with start(*flags(server.url, "model.remote.timeoutMs=60000")) as editor:
            await editor.ready()
            server.fault = "nothing"
            editor.open(CODE)
            asked = editor.ask(invoked=True)
            await asyncio.sleep(0.3)
            editor.type("x")
            assert (await editor.explain()).uri == ""
            editor.headless.cancel(asked)
            await asyncio.gather(asked.answer, return_exceptions=True)
