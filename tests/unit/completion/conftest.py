"""A completer over a scripted engine, with what is needed to watch it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest
from attrs import define, evolve, field

from fim_lsp.completion.completer import Completer
from fim_lsp.completion.debounce import SupersededError
from fim_lsp.engine.scripted import ScriptedEngine
from fim_lsp.engine.worker import InferenceWorker
from fim_lsp.settings import Settings, from_wire
from fim_lsp.types import Completion, CompletionRequest, DocumentSnapshot, Trigger

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
    """A request at the mark █ of a text."""
    before, after = marked.split("█")
    document = DocumentSnapshot(uri, language, version, before + after)
    return CompletionRequest(document, len(before), trigger, selected)


@define
class Desk:
    """One completer, its engine's counts, and a gate that holds the engine while closed."""

    completer: Completer
    worker: InferenceWorker
    settings: Settings
    gate: threading.Event
    engine: ScriptedEngine
    prompts: list[str] = field(factory=list)
    evaluated: list[int] = field(factory=list)
    """Grows by one for each token evaluated."""
    prepares: bool = False
    """Whether there is work in the background."""

    @property
    def generations(self) -> int:
        return len(self.prompts)

    def knows(self, *others: str) -> None:
        """Let the engine know these answers besides."""
        object.__setattr__(self.engine, "alternatives", lambda _: others)

    async def complete_after(self, older: CompletionRequest, newer: CompletionRequest) -> Completion | None:
        """Ask anew while the engine is held in an older request, and let it go on."""
        self.gate.clear()
        waiting = asyncio.create_task(self.completer.complete(older, self.settings))
        while self.worker.pending == 0:
            await asyncio.sleep(0.001)
        asked = asyncio.create_task(self.completer.complete(newer, self.settings))
        with pytest.raises(SupersededError):
            await waiting
        self.gate.set()
        return await asked

    async def rest(self) -> None:
        """Wait until nothing is queued, running or being prepared."""
        flights = self.completer._flights
        while (
            not self.worker.idle
            or (self.prepares and self.completer._background.busy)
            or any(not flight.outcome.done() for flight in flights.values())
        ):
            await asyncio.sleep(0.001)

    async def cost(self, asked: CompletionRequest) -> int:
        """Prompt tokens that a request evaluates."""
        before = self.completer.last.timings
        await self.completer.complete(asked, self.settings)
        assert self.completer.last.timings is not before
        return self.completer.last.timings.evaluated_tokens


@pytest.fixture
async def make_desk():
    desks: list[Desk] = []

    async def make(
        say: str | Callable[[str], str] = "return 1", *, pause_s: float = 1000, **wire: object
    ) -> Desk:
        gate = threading.Event()
        gate.set()
        prompts: list[str] = []
        evaluated: list[int] = []

        def script(prompt: str) -> str:
            prompts.append(prompt)
            return say if isinstance(say, str) else say(prompt)

        def before_token() -> None:
            gate.wait(10)
            evaluated.append(1)

        engine = ScriptedEngine(script, before_token=before_token)
        engine = evolve(engine, info=evolve(engine.info, architecture="qwen2"))
        settings = from_wire({"completion": {"debounceMaxMs": 0}, **wire})
        worker = InferenceWorker(lambda *_: engine)
        # Without the pause, work in the background would be counted with the rest.
        completer = Completer(worker, pause_s=pause_s)
        await worker.load(settings.model, lambda _: None)
        completer.model_changed(engine, settings)
        desk = Desk(completer, worker, settings, gate, engine, prompts, evaluated, prepares=not pause_s)
        desks.append(desk)
        return desk

    yield make
    for desk in desks:
        desk.completer.stop()
        desk.gate.set()
        await desk.worker.close()
