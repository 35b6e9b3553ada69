"""An editor without a screen: drives a real server process, for the demo, ``complete`` and the tests."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from lsprotocol import types
from pygls.lsp.client import LanguageClient

from fim_lsp.errors import FimLspError
from fim_lsp.lsp.documents import offset_at, units
from fim_lsp.lsp.status import STATUS

logger = logging.getLogger(__name__)

_ENCODING = types.PositionEncodingKind.Utf16


class ServerFailedError(FimLspError):
    """The server process ended or could not load its model."""


@frozen
class Shown:
    """One suggestion as an editor would show it."""

    text: str
    """What would appear behind the cursor; empty if nothing."""
    waited_ms: float
    explanation: Mapping[str, Any]
    """The answer of ``fimLsp.explain``."""


@define
class OpenFile:
    """A file as the editor has it."""

    uri: str
    text: str
    cursor: int
    version: int = 1


@define
class HeadlessEditor:
    """One editor with one server. Made by :func:`start_editor`."""

    client: LanguageClient
    _ready: asyncio.Future[str] = field(repr=False)
    messages: list[str] = field(factory=list)
    """What the server would have shown to the user."""

    async def ready(self) -> str:
        """Wait until the model is loaded and return its name.

        Raises:
            ServerFailedError: with the server's own words.
        """
        return await self._ready

    def open(self, path: Path, language: str, text: str, cursor: int) -> OpenFile:
        """Open a document, which need not exist, with the cursor at an offset."""
        file = OpenFile(path.resolve().as_uri(), text, cursor)
        item = types.TextDocumentItem(file.uri, language, file.version, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return file

    def insert(self, file: OpenFile, text: str) -> None:
        """Type at the cursor."""
        at = _position(file.text, file.cursor)
        file.version += 1
        change = types.TextDocumentContentChangePartial(types.Range(at, at), text)
        identifier = types.VersionedTextDocumentIdentifier(file.version, file.uri)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [change]))
        file.text = file.text[: file.cursor] + text + file.text[file.cursor :]
        file.cursor += len(text)

    async def suggest(self, file: OpenFile, *, invoked: bool = False) -> Shown:
        """Ask for ghost text at the cursor."""
        position = _position(file.text, file.cursor)
        kind = types.InlineCompletionTriggerKind
        context = types.InlineCompletionContext(kind.Invoked if invoked else kind.Automatic)
        asked = time.perf_counter()
        answer = await self.client.text_document_inline_completion_async(
            types.InlineCompletionParams(context, types.TextDocumentIdentifier(file.uri), position)
        )
        waited_ms = (time.perf_counter() - asked) * 1000
        items = answer.items if isinstance(answer, types.InlineCompletionList) else answer or []
        text = _ghost(items[0], file, position) if items else ""
        return Shown(text, waited_ms, await self.explain())

    async def explain(self) -> Mapping[str, Any]:
        """Why the last suggestion came about."""
        params = types.ExecuteCommandParams("fimLsp.explain")
        explanation: Mapping[str, Any] = _plain(await self.client.workspace_execute_command_async(params))
        return explanation


@asynccontextmanager
async def start_editor(
    command: Sequence[str], *, options: Mapping[str, Any] | None = None, root: Path | None = None
) -> AsyncIterator[HeadlessEditor]:
    """Start a server process, initialize it, and shut it down at the end.

    Args:
        command: The server's command line.
        options: ``initializationOptions``; status notifications are turned on besides.
        root: The workspace folder, absolute.
    """
    client = LanguageClient("fim-lsp headless editor", "1")
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    ready.add_done_callback(lambda future: future.cancelled() or future.exception())

    messages: list[str] = []

    @client.feature(types.WINDOW_SHOW_MESSAGE)  # type: ignore[untyped-decorator]
    def _(params: types.ShowMessageParams) -> None:
        messages.append(params.message)

    @client.feature(types.WINDOW_LOG_MESSAGE)  # type: ignore[untyped-decorator]
    def _(params: types.LogMessageParams) -> None:
        logger.info("%s", params.message)

    @client.feature(STATUS)  # type: ignore[untyped-decorator]
    def _(status: Any) -> None:
        if ready.done() or status.busy:
            return
        if status.kind == "Error":
            ready.set_exception(ServerFailedError(status.message))
        else:
            ready.set_result(status.message)

    await client.start_io(command[0], *command[1:])
    text_document = types.TextDocumentClientCapabilities(
        inline_completion=types.InlineCompletionClientCapabilities()
    )
    await client.initialize_async(
        types.InitializeParams(
            capabilities=types.ClientCapabilities(text_document=text_document),
            root_uri=root.as_uri() if root else None,
            # What nobody looks at is no feedback.
            initialization_options={**(options or {}), "status": True, "feedback": {"enabled": False}},
        )
    )
    client.initialized(types.InitializedParams())
    try:
        yield HeadlessEditor(client, ready, messages)
    finally:
        await client.shutdown_async(None)
        client.exit(None)
        await client.stop()


def _position(text: str, offset: int) -> types.Position:
    line = text.count("\n", 0, offset)
    start = text.rfind("\n", 0, offset) + 1
    return types.Position(line, units(text[start:offset], _ENCODING))


def _ghost(item: types.InlineCompletionItem, file: OpenFile, position: types.Position) -> str:
    """The part of an item that appears behind the cursor."""
    inserted = item.insert_text if isinstance(item.insert_text, str) else item.insert_text.value
    if item.range is None:
        return inserted
    typed = file.text[offset_at(file.text, item.range.start, _ENCODING) : file.cursor]
    return inserted[len(typed) :]


def _plain(value: Any) -> Any:
    """Dicts and lists again, of the named tuples that pygls makes of an untyped answer."""
    if hasattr(value, "_asdict"):
        return {key: _plain(item) for key, item in value._asdict().items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
