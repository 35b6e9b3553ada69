"""A real server process, driven over stdio as an editor would, and most often the real model.

Most tests share one server: ``editor``. A test starts its own server if it is about the start, the end or the
command line, or if what the server remembers would spoil it.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import pytest_asyncio
from attrs import define, field
from lsprotocol import types
from pygls.protocol import default_converter
from pytest_lsp import LanguageClient
from pytest_lsp.client import register_lsp_features

from fim_lsp.completion.idle_prefill import PAUSE_S
from fim_lsp.lsp.client import HeadlessEditor, OpenFile, SentRequest
from fim_lsp.paths import MODELS, models_folder
from fim_lsp.strict import merge

SERVER = (sys.executable, "-m", "fim_lsp", "--stdio")
URI = "file:///project/example.py"
UTF8, UTF16, UTF32 = (
    types.PositionEncodingKind.Utf8,
    types.PositionEncodingKind.Utf16,
    types.PositionEncodingKind.Utf32,
)
PATIENCE_S = 240
# Without the measurement of drafts at each load, and without drafts.
_BASE: Mapping[str, Any] = {
    "status": True,
    "model": {"speculation": "off"},
    # What is hidden while typing is tested in test_showing alone.
    "completion": {"eagerness": "eager"},
}
# Nothing of one test in the prompts of the next: no snippets of closed documents, no saved KV states.
SHARED: Mapping[str, Any] = {"prompt": {"snippets": "off"}, "model": {"kvStateMb": 0}}


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Run all tests of this folder on one event loop, as the shared server lives on one."""
    for item in items:
        here = item.path.is_relative_to(Path(__file__).parent)
        if here and isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


class Client(LanguageClient):
    """pytest-lsp's client, which keeps what the server sends; and its process."""

    def __init__(self) -> None:
        super().__init__(converter_factory=default_converter)
        register_lsp_features(self)
        self.exit_code: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def start_io(self, command: str, *arguments: str, **options: Any) -> None:
        """Start the server."""
        before = set(psutil.Process().children())
        await super().start_io(command, *arguments, **options)
        (self.process,) = set(psutil.Process().children()) - before

    async def server_exit(self, server: asyncio.subprocess.Process) -> None:
        """Keep the exit code; pygls calls this."""
        self.exit_code.set_result(server.returncode)
        await super().server_exit(server)


@define
class DrivenEditor:
    """A headless editor with one current document. Answers of commands have attributes instead of keys."""

    client: Client
    headless: HeadlessEditor
    capabilities: types.ServerCapabilities
    file: OpenFile = field(factory=lambda: OpenFile(URI, ""))
    files: list[OpenFile] = field(factory=list)

    @property
    def statuses(self) -> list[Any]:
        return self.headless.statuses

    @property
    def identifier(self) -> types.TextDocumentIdentifier:
        return types.TextDocumentIdentifier(self.file.uri)

    @property
    def position(self) -> types.Position:
        return self.headless.position(self.file.text, self.file.cursor)

    async def status(self, condition: Callable[[Any], bool]) -> Any:
        """Wait for a status that fulfils a condition."""
        return await asyncio.wait_for(self.headless.wait_for_status(condition), PATIENCE_S)

    async def ready(self) -> Any:
        """Wait for the model, and return the status that the load ended with."""
        return await self.status(lambda status: not status.busy)

    def open(self, marked: str, language: str = "python", uri: str = URI) -> OpenFile:
        """Open a document with the cursor at the mark █, and go to it."""
        before, after = marked.split("█")
        self.file = self.headless.open(uri, language, before + after, len(before))
        self.files.append(self.file)
        return self.file

    def close_all(self) -> None:
        """Close every document."""
        for file in self.files:
            self.headless.close(file)
        self.files.clear()

    def type(self, text: str) -> None:
        self.headless.insert(self.file, text)

    def delete(self, count: int) -> None:
        """Backspace."""
        self.headless.replace(self.file, self.file.cursor - count, self.file.cursor, "")

    def ask(self, *, invoked: bool = False) -> SentRequest:
        """Send a request without waiting for its answer."""
        return self.headless.request(self.file, invoked=invoked)

    async def items(self, *, invoked: bool = False) -> list[types.InlineCompletionItem] | None:
        """Return the items of an answer; None for null."""
        answer = await asyncio.wait_for(self.ask(invoked=invoked).answer, PATIENCE_S)
        return None if answer is None else list(answer.items)

    async def command(self, name: str, *arguments: Any) -> Any:
        return _by_attribute(await asyncio.wait_for(self.headless.run_command(name, *arguments), 60))

    async def explain(self) -> Any:
        return await self.command("fimLsp.explain")

    async def rest(self) -> None:
        """Wait until the work in the background is done: the server uses no CPU for three of its pauses."""
        used_s = -1.0
        while (now_s := sum(self.client.process.cpu_times()[:2])) > used_s + 0.01:
            used_s = now_s
            await asyncio.sleep(3 * PAUSE_S)

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Send settings. They are in force for every later request."""
        params = types.DidChangeConfigurationParams({"fimLsp": dict(settings)})
        self.client.workspace_did_change_configuration(params)

    def forget(self) -> None:
        """Drop what the server sent, but for its last status."""
        del self.statuses[:-1]
        self.client.messages.clear()
        self.client.log_messages.clear()


def accepted(explanation: Any) -> int:
    """Return how many suggestions were accepted in the session of an explanation."""
    return getattr(explanation.feedback, "accepted", 0)


def _by_attribute(value: Any) -> Any:
    if isinstance(value, dict):
        return SimpleNamespace(**{key: _by_attribute(item) for key, item in value.items()})
    if isinstance(value, list):
        return [_by_attribute(item) for item in value]
    return value


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""

    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.02)

    await asyncio.wait_for(wait(), PATIENCE_S)


def scripted_server(text: str) -> tuple[str, ...]:
    """Return the command line of the real server with an engine that always answers the same text."""
    code = f"""
import sys
from attrs import evolve
from fim_lsp.cli import main
from fim_lsp.commands import language_server
from fim_lsp.engine.scripted import ScriptedEngine

def open_engine(*_):
    engine = ScriptedEngine(lambda prompt: {text + "<|end|>"!r})
    return evolve(engine, info=evolve(engine.info, architecture="qwen2"))

language_server.open_engine = open_engine
sys.exit(main(["--stdio", *sys.argv[1:]]))
"""
    return sys.executable, "-c", code


@asynccontextmanager
async def start(
    *flags: str,
    command: Sequence[str] = SERVER,
    options: Mapping[str, Any] | None = None,
    configuration: Mapping[str, Any] | None = None,
    encodings: Sequence[types.PositionEncodingKind] | None = None,
    inline: bool = True,
    env: Mapping[str, str] | None = None,
    folders: Sequence[str] = (),
) -> AsyncIterator[DrivenEditor]:
    """Start a server and initialize it; at the end it must leave cleanly and with exit code 0."""
    client = Client()
    headless = HeadlessEditor(client)
    if configuration is not None:
        client.set_configuration(dict(configuration), section="fimLsp")
    await client.start_io(*command, *flags, **({"env": dict(env)} if env else {}))
    inline_completion = types.InlineCompletionClientCapabilities() if inline else None
    result = await client.initialize_session(
        types.InitializeParams(
            capabilities=types.ClientCapabilities(
                general=types.GeneralClientCapabilities(position_encodings=encodings),
                text_document=types.TextDocumentClientCapabilities(inline_completion=inline_completion),
                window=types.WindowClientCapabilities(work_done_progress=True),
                workspace=types.WorkspaceClientCapabilities(configuration=configuration is not None),
            ),
            workspace_folders=[types.WorkspaceFolder(uri, uri.rpartition("/")[2]) for uri in folders] or None,
            initialization_options=merge(_BASE, options),
        )
    )
    headless.encoding = types.PositionEncodingKind(result.capabilities.position_encoding or UTF16)
    try:
        yield DrivenEditor(client, headless, result.capabilities)
    finally:
        await asyncio.wait_for(client.shutdown_session(), 20)
        code = await asyncio.wait_for(client.exit_code, 20)
        await client.stop()
    assert code == 0


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def shared_editor() -> AsyncIterator[DrivenEditor]:
    """One server with the default model, for all tests that can share it."""
    async with start(options=SHARED) as editor:
        await editor.ready()
        yield editor


@asynccontextmanager
async def borrow(editor: DrivenEditor) -> AsyncIterator[DrivenEditor]:
    """Lend a shared server to one test, without open documents and with the settings of its start."""
    editor.forget()
    try:
        yield editor
    finally:
        editor.close_all()
        editor.configure({})


@pytest_asyncio.fixture(loop_scope="session")
async def editor(shared_editor: DrivenEditor) -> AsyncIterator[DrivenEditor]:
    async with borrow(shared_editor) as borrowed:
        yield borrowed


@pytest.fixture
def new_user(tmp_path):
    """Return the environment of a user with an empty home folder, who shares the models; and that folder."""
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FIM_LSP_", "XDG_"))}
    return {**kept, "HOME": str(home), MODELS.variable: str(models_folder())}, home


def files_in(folder: Path) -> list[Path]:
    """Return all files below a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def broken_model(tmp_path):
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + bytes(10))
    return path
