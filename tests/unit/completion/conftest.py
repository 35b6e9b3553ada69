"""A completer over a scripted engine, with what is needed to watch it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import PurePath

import pytest
from attrs import define, evolve, field

from fim_lsp.completion.completer import Completer
from fim_lsp.completion.debounce import SupersededError
from fim_lsp.completion.explain import Explanation
from fim_lsp.engine.base import AdapterError, CancelToken, EngineFactory, OnToken
from fim_lsp.engine.scripted import Script, ScriptedEngine
from fim_lsp.engine.worker import InferenceWorker
from fim_lsp.settings import Settings, from_wire
from fim_lsp.types import (
    Completion,
    CompletionRequest,
    DocumentSnapshot,
    Generation,
    Prompt,
    SamplingParams,
    Trigger,
)

URI = "file:///project/a.py"


def request(
    marked: str,
    *,
    version: int = 1,
    trigger: Trigger = Trigger.AUTOMATIC,
    uri: str = URI,
    language: str = "python",
    selected: str = "",
) -> CompletionRequest:
    """Provide a request at the mark █ of a text."""
    before, after = marked.split("█")
    document = DocumentSnapshot(uri, language, version, before + after)
    return CompletionRequest(document, len(before), trigger, selected)


class RecordingWorker(InferenceWorker):
    """A worker that keeps what it was asked to generate."""

    def __init__(self, factory: EngineFactory) -> None:
        super().__init__(factory)
        self.asked: list[tuple[Prompt, CancelToken]] = []

    async def generate(
        self, prompt: Prompt, sampling: SamplingParams, cancel: CancelToken, on_tokens: Sequence[OnToken]
    ) -> tuple[Generation, ...]:
        self.asked.append((prompt, cancel))
        return await super().generate(prompt, sampling, cancel, on_tokens)


@define
class Desk:
    """One completer, its engine's counts, and a gate that holds the engine while closed."""

    completer: Completer
    worker: RecordingWorker
    settings: Settings
    gate: threading.Event
    engine: ScriptedEngine
    prompts: list[str] = field(factory=list)
    evaluated: list[int] = field(factory=list)
    """Grows by one for each token evaluated."""
    prepares: bool = False
    """True if prompts are evaluated while idle."""
    explanation: Explanation = field(factory=Explanation)
    """Of the last answer."""
    others: list[str] = field(factory=list)
    """Answers that the engine knows besides."""
    folders: list[PurePath] = field(factory=list)
    """The workspace's folders."""
    refused: list[AdapterError] = field(factory=list)
    """Adapters that the completer reported as refused."""
    at_token: list[Callable[[], object]] = field(factory=list)
    """Called before each token is evaluated."""

    @property
    def generations(self) -> int:
        return len(self.prompts)

    def knows(self, *others: str) -> None:
        """Let the engine know these answers besides."""
        self.others[:] = others

    async def complete_after(self, older: CompletionRequest, newer: CompletionRequest) -> Completion | None:
        """Ask anew while the engine is held in an older request, and let it go on."""
        self.gate.clear()
        waiting = asyncio.create_task(self.complete(older))
        while self.worker.pending == 0:
            await asyncio.sleep(0.001)
        asked = asyncio.create_task(self.complete(newer))
        with pytest.raises(SupersededError):
            await waiting
        self.gate.set()
        return await asked

    async def rest(self) -> None:
        """Wait until nothing is queued, running or being prepared."""
        while (
            not self.worker.idle or self.completer.generating or (self.prepares and self.completer.preparing)
        ):
            await asyncio.sleep(0.001)

    async def cost(self, asked: CompletionRequest) -> int:
        """Count the prompt tokens that a request evaluates."""
        await self.complete(asked)
        return self.explanation.timings.evaluated_tokens

    async def complete(self, asked: CompletionRequest, settings: Settings | None = None) -> Completion | None:
        """Answer a request, and keep the explanation."""
        answer = await self.completer.complete(asked, settings or self.settings)
        self.explanation = answer.explanation
        return answer.completion


@pytest.fixture
async def make_desk():
    desks: list[Desk] = []

    async def make(
        say: str | Callable[[str], str] = "return 1",
        *,
        pause_s: float = 1000,
        loaded: bool = True,
        **wire: object,
    ) -> Desk:
        gate = threading.Event()
        gate.set()
        prompts: list[str] = []
        evaluated: list[int] = []

        def script(prompt: str) -> str:
            prompts.append(prompt)
            return say if isinstance(say, str) else say(prompt)

        others: list[str] = []
        folders: list[PurePath] = []
        refused: list[AdapterError] = []
        at_token: list[Callable[[], object]] = []

        def before_token() -> None:
            gate.wait(10)
            evaluated.append(1)
            for call in at_token:
                call()

        engine = ScriptedEngine(Script(script, before_token=before_token, alternatives=lambda _: others))
        engine = evolve(engine, info=evolve(engine.info, architecture="qwen2"))
        settings = from_wire({"completion": {"debounceMaxMs": 0}, **wire})
        worker = RecordingWorker(lambda *_: engine)
        # Without the pause, idle prefill would be counted with the rest.
        completer = Completer(worker, pause_s=pause_s, folders=lambda: folders, on_refused=refused.append)
        await worker.load(settings.model, lambda _: None)
        if loaded:
            completer.model_changed(engine, settings)
        desk = Desk(
            completer,
            worker,
            settings,
            gate,
            engine,
            prompts,
            evaluated,
            prepares=not pause_s,
            others=others,
            folders=folders,
            refused=refused,
            at_token=at_token,
        )
        desks.append(desk)
        return desk

    yield make
    for desk in desks:
        desk.completer.stop()
        desk.gate.set()
        await desk.worker.close()
