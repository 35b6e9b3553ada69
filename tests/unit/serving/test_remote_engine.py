"""Our own remote engine as a client of ``fim-lsp serve``, found by asking."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from fim_lsp.engine.base import AdapterError, CancelToken
from fim_lsp.engine.remote import open_remote
from fim_lsp.remote_settings import RemoteSettings
from fim_lsp.settings import ModelSettings
from fim_lsp.types import AppliedAdapter, FinishReason, Generation, Prompt, SamplingParams, StreamedToken
from tests.unit.serving.conftest import RunningServer, adapter, until


async def ask(
    server: RunningServer,
    *adapters: str,
    on_token: Callable[[StreamedToken], bool] = lambda _: True,
    cancel: CancelToken | None = None,
) -> Generation:
    def generate() -> Generation:
        engine = open_remote(ModelSettings(remote=RemoteSettings(url=f"http://127.0.0.1:{server.port}")))
        try:
            engine.connect()
            applied = tuple(AppliedAdapter(Path(), name=name) for name in adapters)
            prompt = Prompt(engine.tokenizer.encode("x = 1\n"), "y = ", adapters=applied)
            (answer,) = engine.generate(
                prompt, SamplingParams(max_tokens=64), cancel or CancelToken(), [on_token]
            )
            return answer
        finally:
            engine.close()

    return await asyncio.to_thread(generate)


async def test_completes_in_pieces(serve):
    server = await serve("return 1")
    pieces: list[str] = []
    answer = await ask(server, on_token=lambda token: pieces.append(token.text) or True)
    assert (answer.text, answer.finish_reason) == ("return 1", FinishReason.END)
    assert "".join(pieces) == "return 1"
    assert len(pieces) > 1
    assert server.prompts == ["x = 1\ny = "]


async def test_chooses_adapters_by_name(serve):
    server = await serve("a", adapters=(adapter("style"), adapter("tests", 1)))
    texts = [(await ask(server, *names)).text for names in ((), ("style",), ("tests",))]
    assert texts == ["a", "a  # style", "a  # tests"]
    refused = (await asyncio.gather(ask(server, "missing"), return_exceptions=True))[0]
    assert isinstance(refused, AdapterError)
    assert "style, tests" in str(refused)


async def test_a_cancel_ends_the_generation_there(serve):
    server = await serve("y" * 500)
    cancel = CancelToken()
    server.gate.clear()
    asked = asyncio.create_task(ask(server, cancel=cancel))
    await until(lambda: server.service.model.queue.running)
    cancel.cancel()
    assert (await asked).finish_reason is FinishReason.CANCELLED
    server.gate.set()
    await until(lambda: not server.service.model.queue.running)
    assert len(server.evaluated) < 500
    assert b"fim_lsp_cancelled_total 1.0" in server.service.metrics.text()
