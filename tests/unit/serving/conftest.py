"""A real HTTP server on loopback over a scripted engine, with what is needed to watch it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from attrs import define, evolve, field

from fim_lsp.engine.scripted import END, Script, ScriptedEngine
from fim_lsp.serving.adapter_registry import NamedAdapter
from fim_lsp.serving.app import CompletionService
from fim_lsp.serving.guard import Access
from fim_lsp.serving.http_server import ServerPlan, listen, make_server, make_service
from fim_lsp.settings import from_wire

HOST = "127.0.0.1"


@define
class RunningServer:
    """A server, a client of it, and the counts of its engine."""

    client: httpx.AsyncClient
    service: CompletionService
    script: Script
    gate: threading.Event
    """Holds the engine while it is not set."""
    port: int
    prompts: list[str] = field(factory=list)
    evaluated: list[int] = field(factory=list)
    """Grows by one for each token evaluated."""
    failures: list[Exception] = field(factory=list)

    async def post(self, path: str, body: Any = None, /, **fields: Any) -> httpx.Response:
        return await self.client.post(path, json=fields if body is None else body)

    async def complete(self, **fields: Any) -> Any:
        answer = await self.post("/v1/completions", fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def text(self, **fields: Any) -> str:
        choice = (await self.complete(**fields))["choices"][0]
        return str(choice["text"])

    async def ready(self) -> None:
        await until(lambda: self.service.model.state != "loading")


async def until(condition: Callable[[], object]) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.002)

    await asyncio.wait_for(wait(), 10)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Any]]:
    async with AsyncExitStack() as stack:

        async def start(
            answer: str | Callable[[str], str] = "return 1",
            *,
            loading: threading.Event | None = None,
            adapters: tuple[NamedAdapter, ...] = (),
            wait: bool = True,
            wire: dict[str, Any] | None = None,
            known_adapters: tuple[NamedAdapter, ...] | None = None,
            **plan: Any,
        ) -> RunningServer:
            made = ServerPlan(
                HOST,
                0,
                plan.pop("access", Access()),
                from_wire(wire or {}),
                adapters=adapters,
                progress=False,
                **plan,
            )
            known = adapters if known_adapters is None else known_adapters
            running = await stack.enter_async_context(_run(made, answer, loading, known))
            if wait:
                await running.ready()
            return running

        yield start


@asynccontextmanager
async def _run(
    plan: ServerPlan,
    answer: str | Callable[[str], str],
    loading: threading.Event | None,
    known: tuple[NamedAdapter, ...],
) -> AsyncIterator[RunningServer]:
    gate = threading.Event()
    gate.set()
    prompts: list[str] = []
    evaluated: list[int] = []

    def script_answer(prompt: str) -> str:
        prompts.append(prompt)
        return (answer if isinstance(answer, str) else answer(prompt)) + END

    def before_token() -> None:
        gate.wait(10)
        evaluated.append(1)

    script = Script(script_answer, before_token=before_token)
    # An adapter writes its own name behind each answer.
    script.adapters = {
        adapter.path: (lambda text, name=adapter.name: text.replace(END, f"  # {name}{END}"))
        for adapter in known
    }

    def factory(*_: object) -> ScriptedEngine:
        if loading is not None:
            loading.wait(10)
        engine = ScriptedEngine(script)
        return evolve(engine, info=evolve(engine.info, architecture="qwen2"))

    service = make_service(plan, factory)
    failures: list[Exception] = []
    server = make_server(plan, service, failures.append)
    listening = listen(HOST, 0)
    port = listening.getsockname()[1]
    task = asyncio.create_task(server.serve(sockets=[listening]))
    await until(lambda: server.started or task.done())
    try:
        async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}", timeout=20) as client:
            yield RunningServer(client, service, script, gate, port, prompts, evaluated, failures)
    finally:
        gate.set()
        if loading is not None:
            loading.set()
        server.should_exit = True
        await task


def adapter(name: str, number: int = 0, scale: float = 1.0) -> NamedAdapter:
    return NamedAdapter(number, name, Path(f"/adapters/{name}.gguf"), scale)
