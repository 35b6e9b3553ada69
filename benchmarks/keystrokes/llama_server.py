"""Measure llama-server behind a plugin: as llama.vim uses it, and with fim-lsp's own token layout."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO

import httpx2 as httpx
import psutil
from attrs import define, field, frozen

from benchmarks.keystrokes.llama_vim import Hints, LocalContext, infill_prompt, limits, local_context
from benchmarks.keystrokes.own_layout import OwnLayout, RenderedContext
from benchmarks.keystrokes.peers import OpenPeer, PeerAnswer, PeerName, Workload
from benchmarks.keystrokes.processes import ProcessTree
from benchmarks.keystrokes.sources import TypedFile
from fim_lsp.errors import FimLspError

_LOADING_S = 300.0

PromptOf = Callable[[str, str, int], dict[str, Any]]
"""Turns name, text and cursor into the prompt of a request."""


class PeerError(FimLspError):
    """llama-server did not start or refused a request."""


@frozen
class _Streamed:
    """The answer to one request."""

    content: str
    first_ms: float
    shown_ms: float
    evaluated: int


@define
class LlamaServer:
    """A :class:`~benchmarks.keystrokes.peers.Peer`; made by :func:`llama_server`."""

    processes: ProcessTree
    _client: httpx.AsyncClient
    _endpoint: str
    _prompt: PromptOf
    _predict: int
    _forget: Callable[[], None]
    _hints: Hints = field(factory=Hints)
    _names: tuple[str, ...] = ()
    _position: tuple[int, str, int] = (0, "", 0)
    """File, text and cursor."""
    _shown: str = ""

    def open(self, files: Sequence[TypedFile]) -> None:
        """Forget all suggestions; the server's own cache stays, as it does in use."""
        self._names = tuple(file.name for file in files)
        self._hints = Hints()
        self._forget()

    def move(self, file: int, text: str, cursor: int) -> None:
        """Store the cursor's position; the server keeps no documents."""
        self._position = (file, text, cursor)

    async def suggest(self) -> PeerAnswer:
        """Show a cached suggestion at once, and send a request unless the same one was sent before."""
        asked = time.perf_counter()
        context = local_context(*self._position[1:])
        self._shown = self._hints.find(context)
        found_ms = (time.perf_counter() - asked) * 1000
        if not context.asks or self._hints.was_asked(context):
            return PeerAnswer(self._shown, found_ms, found_ms, 0, remembered=True)
        streamed = await self._ask(context, *self._position, ahead=False)
        self._hints.put(context, streamed.content)
        if self._shown:
            return PeerAnswer(self._shown, found_ms, found_ms, streamed.evaluated, remembered=True)
        self._shown = streamed.content
        return PeerAnswer(streamed.content, streamed.first_ms, streamed.shown_ms, streamed.evaluated)

    async def idle(self, ms: float) -> int:
        """Request the text after the suggestion ahead, as long as the user looks at it."""
        if not self._shown:
            await asyncio.sleep(ms / 1000)
            return 0
        file, text, cursor = self._position
        ahead = text[:cursor] + self._shown + text[cursor:]
        context = local_context(ahead, cursor + len(self._shown))
        began = time.perf_counter()
        evaluated = 0
        if context.asks and not self._hints.was_asked(context):
            asking = self._ask(context, file, ahead, cursor + len(self._shown), ahead=True)
            try:
                streamed = await asyncio.wait_for(asking, ms / 1000)
            except asyncio.TimeoutError:
                return 0
            self._hints.put(context, streamed.content)
            evaluated = streamed.evaluated
        await asyncio.sleep(max(0.0, ms / 1000 - (time.perf_counter() - began)))
        return evaluated

    async def look(self, ms: float) -> None:
        """Wait: llama.vim sends nothing when the cursor moves in normal mode."""
        await asyncio.sleep(ms / 1000)

    def accepted(self) -> None:
        """Do nothing: llama-server takes no notice of accepted suggestions."""

    async def _ask(
        self, context: LocalContext, file: int, text: str, cursor: int, *, ahead: bool
    ) -> _Streamed:
        """Send a streamed request; a cancel closes its connection."""
        asked = time.perf_counter()
        body = {
            **limits(context, self._predict, ahead=ahead),
            **self._prompt(self._names[file], text, cursor),
        }
        first_ms: float | None = None
        events: list[dict[str, Any]] = []
        try:
            async with self._client.stream("POST", self._endpoint, json=body) as response:
                async for event in _events(response):
                    first_ms = first_ms or (time.perf_counter() - asked) * 1000
                    events.append(event)
        except httpx.TransportError as error:
            raise PeerError(f"llama-server stopped answering: {error!r}", "See its log.") from error
        shown_ms = (time.perf_counter() - asked) * 1000
        content = "".join(event["content"] for event in events).rstrip()
        return _Streamed(content, first_ms or shown_ms, shown_ms, int(events[-1]["timings"]["prompt_n"]))


async def _events(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """Yield the events of one answer; the last of them has the timings."""
    if response.status_code != httpx.codes.OK:
        problem = (await response.aread()).decode("utf-8", "replace")
        raise PeerError(f"llama-server refused a request: {problem}", "See its log.")
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            event: dict[str, Any] = json.loads(line.removeprefix("data: "))
            if "error" in event:
                raise PeerError(f"llama-server failed: {event['error']}", "See its log.")
            yield event


def llama_server(
    binary: Path,
    name: PeerName,
    markers: Mapping[str, int],
    layout: OwnLayout,
    rendered: RenderedContext,
    logs: Path,
) -> OpenPeer:
    """Return a function that opens one of the peers that use llama-server.

    Args:
        binary: path of llama-server.
        name: ``infill``, ``infill-spm``, ``infill-own`` or ``completion``.
        markers: ids of the FIM tokens (``pre``, ``suf``, ``mid``), for files that don't name them.
        layout: builds the prompts of ``completion``.
        rendered: builds those of ``infill-own``.
        logs: folder for the server's log.
    """

    @asynccontextmanager
    async def opened(workload: Workload) -> AsyncIterator[LlamaServer]:
        port, log = _free_port(), logs / f"llama-server-{name}.log"
        command = [str(binary), *_arguments(workload, markers, port)]
        if name == "infill-spm":
            command.append("--spm-infill")
        async with _running(command, port, log) as (client, tree):
            if name == "completion":
                yield LlamaServer(tree, client, "/completion", layout.prompt, workload.predict, layout.forget)
            elif name == "infill-own":
                yield LlamaServer(
                    tree, client, "/completion", rendered.prompt, workload.predict, lambda: None
                )
            else:
                yield LlamaServer(tree, client, "/infill", _infill, workload.predict, lambda: None)

    return opened


def fim_lsp_serve(logs: Path) -> OpenPeer:
    """Return a function that opens ``fim-lsp serve``, to which llama.vim sends what it sends to llama-server.

    Args:
        logs: folder for the server's log.
    """

    @asynccontextmanager
    async def opened(workload: Workload) -> AsyncIterator[LlamaServer]:
        port, log = _free_port(), logs / "fim-lsp-serve.log"
        settings = {
            "model.threads": workload.threads,
            "model.contextTokens": workload.context_tokens,
            "model.kvStateMb": 0,
            "prompt.maxTokens": workload.prompt_tokens,
            "prompt.layout": workload.layout,
        }
        flags = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
        command = [sys.executable, "-m", "fim_lsp", "serve", "--port", str(port), "--model", workload.model]
        async with _running([*command, *flags], port, log) as (client, tree):
            yield LlamaServer(tree, client, "/infill", _infill, workload.predict, lambda: None)

    return opened


@asynccontextmanager
async def _running(
    command: Sequence[str], port: int, log: Path
) -> AsyncIterator[tuple[httpx.AsyncClient, ProcessTree]]:
    """Run a server until the end of the block; its model is loaded when the block begins."""
    process = await _start(command, log)
    try:
        # A new connection for each request, as llama.vim's curl makes it.
        fresh = httpx.Limits(max_keepalive_connections=0)
        address = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=address, timeout=None, limits=fresh) as client:
            await _ready(client, process, log)
            yield client, ProcessTree(psutil.Process(process.pid))
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _start(command: Sequence[str], log: Path) -> asyncio.subprocess.Process:
    def opened() -> BinaryIO:
        log.parent.mkdir(parents=True, exist_ok=True)
        return log.open("wb")

    with await asyncio.to_thread(opened) as output:
        return await asyncio.create_subprocess_exec(*command, stdout=output, stderr=output)


def _infill(_: str, text: str, cursor: int) -> dict[str, Any]:
    return infill_prompt(local_context(text, cursor))


def _arguments(workload: Workload, markers: Mapping[str, int], port: int) -> list[str]:
    """Return llama-server's options: one slot, the workload's sizes, and otherwise llama.vim's advice."""
    named = ",".join(f"tokenizer.ggml.fim_{key}_token_id=int:{token}" for key, token in markers.items())
    options = {
        "--model": workload.path,
        "--host": "127.0.0.1",
        "--port": port,
        "--threads": workload.threads,
        "--threads-batch": workload.threads,
        "--ctx-size": workload.context_tokens,
        "--batch-size": workload.prompt_tokens,
        "--ubatch-size": 128,
        "--parallel": 1,
        "--flash-attn": "off",
        "--cache-reuse": 256,
        "--gpu-layers": 0,
        "--override-kv": named,
    }
    return [str(part) for option in options.items() for part in option] + ["--offline", "--no-webui"]


async def _ready(client: httpx.AsyncClient, process: asyncio.subprocess.Process, log: Path) -> None:
    deadline = time.perf_counter() + _LOADING_S
    while time.perf_counter() < deadline and process.returncode is None:
        try:
            if (await client.get("/health")).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)
    raise PeerError("llama-server did not start.", f"See {log}.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
