"""A headless editor: drives a server process over stdio, for the demo, ``complete``, benchmarks and tests."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from lsprotocol import types
from pygls.lsp.client import LanguageClient

from fim_lsp.errors import FimLspError
from fim_lsp.lsp.documents import Encoding, offset_at, units
from fim_lsp.lsp.line_index import LINE_BREAK
from fim_lsp.lsp.status import STATUS

logger = logging.getLogger(__name__)


class ServerFailedError(FimLspError):
    """The server could not load its model."""


@define
class OpenFile:
    """A file as the editor has it."""

    uri: str
    text: str
    cursor: int = 0
    """An offset into the text."""
    version: int = 1


@frozen
class SentRequest:
    """A request for a suggestion that was sent, and its answer to come."""

    id: str
    answer: asyncio.Future[Any] = field(repr=False)


@frozen
class ReceivedSuggestion:
    """One suggestion as an editor would show it."""

    text: str
    """The text that would appear behind the cursor; empty if there is none."""
    waited_ms: float
    explanation: Mapping[str, Any]
    """The answer of ``fimLsp.explain``."""
    replaced_chars: int = 0
    """Characters behind the cursor that the text replaces."""
    alternatives: tuple[tuple[str, int], ...] = ()
    """Texts of the other suggestions, and how many characters each replaces."""


@define
class HeadlessEditor:
    """The documents of one editor with one server. It sends what an editor sends, and draws nothing."""

    client: LanguageClient
    encoding: Encoding = types.PositionEncodingKind.Utf16
    messages: list[str] = field(factory=list)
    """Messages that the user would have seen."""
    statuses: list[Any] = field(factory=list)
    """Every status that the server sent."""
    _changed: asyncio.Event = field(factory=asyncio.Event, init=False, repr=False)
    _ids: Iterator[int] = field(factory=itertools.count, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        @self.client.feature(STATUS)  # type: ignore[untyped-decorator]
        def _(status: Any) -> None:
            self.statuses.append(status)
            self._changed.set()

    async def wait_for_status(self, condition: Callable[[Any], bool]) -> Any:
        """Wait until the last status fulfils a condition, and return that status."""
        while not (self.statuses and condition(self.statuses[-1])):
            self._changed.clear()
            await self._changed.wait()
        return self.statuses[-1]

    async def ready(self) -> str:
        """Wait until the model is loaded, and return its name.

        Raises:
            ServerFailedError: with the server's own words.
        """
        status = await self.wait_for_status(lambda status: not status.busy)
        if status.kind == "Error":
            raise ServerFailedError(status.message)
        name: str = status.message
        return name

    def open(self, file: Path | str, language: str, text: str, cursor: int = 0) -> OpenFile:
        """Open a document by its path or URI, with the cursor at an offset. The file need not exist."""
        uri = file if isinstance(file, str) else file.resolve().as_uri()
        opened = OpenFile(uri, text, cursor)
        item = types.TextDocumentItem(uri, language, opened.version, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return opened

    def close(self, file: OpenFile) -> None:
        """Close a document."""
        identifier = types.TextDocumentIdentifier(file.uri)
        self.client.text_document_did_close(types.DidCloseTextDocumentParams(identifier))

    def replace(self, file: OpenFile, start: int, end: int, text: str) -> None:
        """Replace ``file.text[start:end]``, and put the cursor behind the new text."""
        replaced = types.Range(self.position(file.text, start), self.position(file.text, end))
        file.text = file.text[:start] + text + file.text[end:]
        file.cursor = start + len(text)
        file.version += 1
        change = types.TextDocumentContentChangePartial(replaced, text)
        identifier = types.VersionedTextDocumentIdentifier(file.version, file.uri)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [change]))

    def insert(self, file: OpenFile, text: str) -> None:
        """Type at the cursor."""
        self.replace(file, file.cursor, file.cursor, text)

    def rewrite(self, file: OpenFile, text: str, cursor: int) -> None:
        """Turn a document into ``text`` with the smallest single edit, if it differs, and move the cursor."""
        if text != file.text:
            self.replace(file, *_smallest_edit(file.text, text))
        file.cursor = cursor

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Change the user's settings. They are in force for all messages that are sent later."""
        params = types.DidChangeConfigurationParams({"fimLsp": settings})
        self.client.workspace_did_change_configuration(params)

    def rest(self, file: OpenFile) -> None:
        """Tell the server that the cursor rests where it is."""
        position = self.position(file.text, file.cursor)
        params = {
            "textDocument": {"uri": file.uri},
            "position": {"line": position.line, "character": position.character},
        }
        self.client.protocol.notify("fimLsp/cursor", params)

    def position(self, text: str, offset: int) -> types.Position:
        """Return the position of an offset."""
        ends = [found.end() for found in LINE_BREAK.finditer(text, 0, offset)]
        start = ends[-1] if ends else 0
        return types.Position(len(ends), units(text[start:offset], self.encoding))

    def request(self, file: OpenFile, *, invoked: bool = False) -> SentRequest:
        """Send a request for ghost text at the cursor, without waiting for its answer."""
        kind = types.InlineCompletionTriggerKind
        params = types.InlineCompletionParams(
            types.InlineCompletionContext(kind.Invoked if invoked else kind.Automatic),
            types.TextDocumentIdentifier(file.uri),
            self.position(file.text, file.cursor),
        )
        request_id = f"suggest-{next(self._ids)}"
        # The client's own method for this would send only when the event loop runs next.
        answer = self.client.protocol.send_request(
            types.TEXT_DOCUMENT_INLINE_COMPLETION, params, msg_id=request_id
        )
        return SentRequest(request_id, asyncio.wrap_future(answer))

    def cancel(self, request: SentRequest) -> None:
        """Send ``$/cancelRequest``."""
        self.client.cancel_request(types.CancelParams(request.id))

    async def suggest(self, file: OpenFile, *, invoked: bool = False) -> ReceivedSuggestion:
        """Ask for ghost text at the cursor."""
        began = time.perf_counter()
        answer = await self.request(file, invoked=invoked).answer
        waited_ms = (time.perf_counter() - began) * 1000
        items = answer.items if answer else ()
        shown = [(self.ghost_text(file, item), self.replaced_chars(file, item)) for item in items]
        text, replaced = shown[0] if shown else ("", 0)
        return ReceivedSuggestion(text, waited_ms, await self.explain(), replaced, tuple(shown[1:]))

    def ghost_text(self, file: OpenFile, item: types.InlineCompletionItem) -> str:
        """Return the part of an item that appears behind the cursor.

        Example: the item ``return x`` for the line ``return `` with the cursor at its end -> ``x``.
        """
        inserted = item.insert_text if isinstance(item.insert_text, str) else item.insert_text.value
        if item.range is None:
            return inserted
        return inserted[file.cursor - offset_at(file.text, item.range.start, self.encoding) :]

    def replaced_chars(self, file: OpenFile, item: types.InlineCompletionItem) -> int:
        """Return how many characters behind the cursor an item replaces."""
        end = offset_at(file.text, item.range.end, self.encoding) if item.range else file.cursor
        return max(0, end - file.cursor)

    async def run_command(self, command: str, *arguments: Any) -> Any:
        """Run a command of the server, and return its answer as dicts, lists and scalars."""
        params = types.ExecuteCommandParams(command, list(arguments))
        return _to_plain(await self.client.workspace_execute_command_async(params))

    async def explain(self) -> Mapping[str, Any]:
        """Return the explanation of the last suggestion."""
        explanation: Mapping[str, Any] = await self.run_command("fimLsp.explain")
        return explanation


@asynccontextmanager
async def start_editor(
    command: Sequence[str],
    *,
    options: Mapping[str, Any] | None = None,
    root: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[HeadlessEditor]:
    """Start a server process, initialize it, and shut it down at the end.

    Args:
        command: The server's command line.
        options: ``initializationOptions``. Status notifications are turned on besides. Feedback is turned
            off, because no user sees the suggestions.
        root: The workspace folder, absolute.
        env: The server's environment; None for this process's own.
    """
    client = LanguageClient("fim-lsp headless editor", "1")
    editor = HeadlessEditor(client)

    @client.feature(types.WINDOW_SHOW_MESSAGE)  # type: ignore[untyped-decorator]
    def _(params: types.ShowMessageParams) -> None:
        editor.messages.append(params.message)

    @client.feature(types.WINDOW_LOG_MESSAGE)  # type: ignore[untyped-decorator]
    def _(params: types.LogMessageParams) -> None:
        logger.info("%s", params.message)

    await client.start_io(command[0], *command[1:], env=env)
    text_document = types.TextDocumentClientCapabilities(
        inline_completion=types.InlineCompletionClientCapabilities()
    )
    await client.initialize_async(
        types.InitializeParams(
            capabilities=types.ClientCapabilities(text_document=text_document),
            root_uri=root.as_uri() if root else None,
            initialization_options={**(options or {}), "status": True, "feedback": {"enabled": False}},
        )
    )
    client.initialized(types.InitializedParams())
    try:
        yield editor
    finally:
        await client.shutdown_async(None)
        client.exit(None)
        await client.stop()


def _smallest_edit(before: str, after: str) -> tuple[int, int, str]:
    """Return start, end and new text of the smallest single replacement that turns one text into another.

    Example: ``abcd`` -> ``axd``: ``(1, 3, "x")``.
    """
    shortest = min(len(before), len(after))
    start = next((index for index in range(shortest) if before[index] != after[index]), shortest)
    room = shortest - start
    end = next((index for index in range(room) if before[-1 - index] != after[-1 - index]), room)
    return start, len(before) - end, after[start : len(after) - end]


def _to_plain(value: Any) -> Any:
    """Turn the named tuples that pygls makes of an untyped answer back into dicts and lists."""
    if hasattr(value, "_asdict"):
        return {key: _to_plain(item) for key, item in value._asdict().items()}
    if isinstance(value, dict):
        return {key: _to_plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_to_plain(item) for item in value]
    return value
