"""A session without a process: a scripted engine, a publisher that keeps what is sent, and manual timers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from attrs import define, evolve, field
from lsprotocol.types import MessageType

from fim_lsp.engine.base import Engine, ModelLoadError, OnLoading
from fim_lsp.engine.scripted import ScriptedEngine
from fim_lsp.engine.worker import WorkerState
from fim_lsp.feedback.recorder import FeedbackRecorder
from fim_lsp.feedback.store import FeedbackStore
from fim_lsp.feedback.writer import FeedbackWriter
from fim_lsp.lsp.publisher import OnProgress
from fim_lsp.lsp.session import PATIENCE_S, Session
from fim_lsp.lsp.status import ServerStatus
from fim_lsp.settings import ModelSettings
from fim_lsp.types import CompletionRequest, DocumentSnapshot
from tests.manual_timers import ManualTimers

URI = "file:///project/a.py"
OTHER_URI = "file:///project/b.py"
CODE = "def add(a, b):\n    return a +█\n"
IDLE_S = 300.0
SETTINGS: Mapping[str, Any] = {
    "status": True,
    "model": {"name": "tiny", "unloadAfterMinutes": IDLE_S / 60, "kvStateMb": 0},
    "completion": {"debounceMaxMs": 0, "prefetch": False},
}


def a_request(marked: str = CODE, *, version: int = 1, uri: str = URI) -> CompletionRequest:
    """Return a request at the mark █ of a Python text."""
    before, after = marked.split("█")
    return CompletionRequest(DocumentSnapshot(uri, "python", version, before + after), len(before))


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""

    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.001)

    await asyncio.wait_for(wait(), 10)


@define
class RecordingPublisher:
    """Keeps everything that a session sends."""

    statuses: list[ServerStatus] = field(factory=list)
    messages: list[tuple[MessageType, str]] = field(factory=list)
    loads: list[tuple[str, list[float]]] = field(factory=list)
    """Title and reported fractions of each load."""

    def show_message(self, kind: MessageType, text: str) -> None:
        self.messages.append((kind, text))

    def send_status(self, status: ServerStatus) -> None:
        self.statuses.append(status)

    @asynccontextmanager
    async def load_progress(self, title: str) -> AsyncIterator[OnProgress]:
        fractions: list[float] = []
        self.loads.append((title, fractions))
        yield fractions.append

    @property
    def codes(self) -> list[str]:
        return [status.code for status in self.statuses]


@define
class ScriptedFactory:
    """Opens scripted engines that answer, wait or fail, as a test says."""

    text: str = " b"
    error: Exception | None = None
    """Raised by each load."""
    failure: Exception | None = None
    """Raised by each generation."""
    notice: str | None = None
    size_bytes: int = 1
    """Differs between two files of one name."""
    opened: list[ModelSettings] = field(factory=list)
    """The settings of each load that began."""
    generations: int = 0
    gate: threading.Event = field(factory=threading.Event)
    """Loads wait while it is not set."""
    answer_gate: threading.Event = field(factory=threading.Event)
    """Generations wait while it is not set."""

    def __attrs_post_init__(self) -> None:
        self.gate.set()
        self.answer_gate.set()

    def open(self, settings: ModelSettings, on_loading: OnLoading) -> Engine:
        self.opened.append(settings)
        while not self.gate.wait(0.001):
            if not on_loading(0.5):
                raise ModelLoadError("The load was given up.")
        if self.error is not None:
            raise self.error
        engine = ScriptedEngine(self._answer)
        info = evolve(
            engine.info,
            name=settings.name,
            architecture="qwen2",
            size_bytes=self.size_bytes,
            notice=self.notice,
        )
        return evolve(engine, info=info)

    def _answer(self, _: str) -> str:
        self.generations += 1
        self.answer_gate.wait(10)
        if self.failure is not None:
            raise self.failure
        return f"{self.text}<|end|>"


@define
class Connection:
    """A session, and everything around it that a test drives or looks at."""

    session: Session
    publisher: RecordingPublisher
    models: ScriptedFactory
    timers: ManualTimers
    user: dict[str, Any] = field(factory=dict)
    """The user's settings file."""
    unreadable: list[Exception] = field(factory=list)
    """Raised instead, if there is one, when the file is read."""
    battery: list[str] = field(factory=list)
    """Names of the batteries that the machine runs on."""

    @property
    def state(self) -> WorkerState:
        return self.session.worker.state

    def configure(self, **changes: Mapping[str, Any]) -> None:
        """Send settings as a client does: what it does not name has the value of ``SETTINGS``."""
        merged = {key: {**SETTINGS.get(key, {}), **change} for key, change in changes.items()}
        self.session.take_layer("configuration", merged)
        self.session.apply_settings()

    async def ask(self, request: CompletionRequest | None = None) -> str | None:
        """Ask for a suggestion; its text, or None."""
        completion = await asyncio.wait_for(self.session.complete(request or a_request()), 10)
        return completion.text if completion is not None else None

    async def fall_asleep(self) -> None:
        """Let the idle time pass, again if the model was busy in the background."""

        def asleep() -> bool:
            if self.timers.delays_s.count(IDLE_S):
                self.timers.run(IDLE_S)
            return self.state is WorkerState.ASLEEP and self.session.worker.idle

        await until(asleep)

    async def lose_patience(self) -> None:
        """Let the time pass that a request waits for a model."""
        await until(lambda: PATIENCE_S in self.timers.delays_s)
        self.timers.run(PATIENCE_S)


@pytest.fixture
async def make_connection(tmp_path):
    connections: list[Connection] = []

    def make(**settings: Any) -> Connection:
        """Return a session that is initialized and has a document open, but has not begun to load."""
        publisher, models, timers = RecordingPublisher(), ScriptedFactory(), ManualTimers()
        user: dict[str, Any] = {}
        unreadable: list[Exception] = []
        battery: list[str] = []

        def read_user() -> dict[str, Any]:
            for error in unreadable:
                raise error
            return dict(user)

        path = tmp_path / f"feedback-{len(connections)}.sqlite3"
        writer = FeedbackWriter(lambda: FeedbackStore(path))
        session = Session(
            publisher,
            models.open,
            read_user=read_user,
            feedback=FeedbackRecorder(writer, run_later=timers.run_later),
            run_later=timers.run_later,
            on_battery=lambda: bool(battery),
        )
        session.take_layer("initialization", {**SETTINGS, **settings})
        session.apply_settings()
        for uri in (URI, OTHER_URI):
            session.document_opened(a_request(uri=uri).document)
        connection = Connection(session, publisher, models, timers, user, unreadable, battery)
        connections.append(connection)
        return connection

    yield make
    for connection in connections:
        connection.models.gate.set()
        connection.models.answer_gate.set()
        if connection.state is not WorkerState.CLOSED:
            await connection.session.close()


@pytest.fixture
async def connection(make_connection) -> Connection:
    """Provide a session whose model is loaded."""
    connection = make_connection()
    await connection.session.reload()
    return connection
