"""A real server process, driven over stdio as an editor would, and most often the real model."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import define, field
from lsprotocol import types
from pytest_lsp import LanguageClient, make_test_lsp_client

from fim_lsp.lsp.documents import units

SERVER = (sys.executable, "-m", "fim_lsp", "--stdio")
URI = "file:///project/example.py"
UTF8, UTF16, UTF32 = (
    types.PositionEncodingKind.Utf8,
    types.PositionEncodingKind.Utf16,
    types.PositionEncodingKind.Utf32,
)


@define
class Editor:
    """A client, its one document, and what the server told it."""

    client: LanguageClient
    capabilities: types.ServerCapabilities
    encoding: types.PositionEncodingKind
    statuses: list[Any]
    text: str = ""
    cursor: int = 0
    version: int = 0
    uri: str = URI
    seen: asyncio.Event = field(factory=asyncio.Event)
    _ids: Iterator[int] = field(factory=itertools.count)

    @property
    def identifier(self) -> types.TextDocumentIdentifier:
        return types.TextDocumentIdentifier(self.uri)

    @property
    def position(self) -> types.Position:
        before = self.text[: self.cursor]
        return types.Position(before.count("\n"), units(before.rsplit("\n", 1)[-1], self.encoding))

    async def ready(self) -> Any:
        """Wait for the model; the status that says how that went."""
        while not (self.statuses and not self.statuses[-1].busy):
            self.seen.clear()
            await asyncio.wait_for(self.seen.wait(), 240)
        return self.statuses[-1]

    def open(self, marked: str, language: str = "python", uri: str = URI) -> None:
        before, after = marked.split("█")
        self.text, self.cursor, self.uri, self.version = before + after, len(before), uri, 1
        item = types.TextDocumentItem(uri, language, 1, self.text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def type(self, text: str) -> None:
        at = self.position
        self.version += 1
        change = types.TextDocumentContentChangePartial(types.Range(at, at), text)
        identifier = types.VersionedTextDocumentIdentifier(self.version, self.uri)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [change]))
        self.text = self.text[: self.cursor] + text + self.text[self.cursor :]
        self.cursor += len(text)

    def delete(self, count: int) -> None:
        """Backspace within a line."""
        end = self.position
        self.cursor -= count
        self.version += 1
        change = types.TextDocumentContentChangePartial(types.Range(self.position, end), "")
        identifier = types.VersionedTextDocumentIdentifier(self.version, self.uri)
        self.text = self.text[: self.cursor] + self.text[self.cursor + count :]
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [change]))

    def ask(self, *, invoked: bool = False) -> tuple[str, asyncio.Future[Any]]:
        """Send a request without waiting; its id, for a cancel, and its answer to come."""
        kind = types.InlineCompletionTriggerKind
        context = types.InlineCompletionContext(kind.Invoked if invoked else kind.Automatic)
        params = types.InlineCompletionParams(context, self.identifier, self.position)
        msg_id = f"request-{next(self._ids)}"
        # Not send_request_async, which would only send once the loop comes round to it.
        answer = self.client.protocol.send_request(
            types.TEXT_DOCUMENT_INLINE_COMPLETION, params, msg_id=msg_id
        )
        return msg_id, asyncio.wrap_future(answer)

    async def items(self, *, invoked: bool = False) -> list[types.InlineCompletionItem] | None:
        """The items of an answer; None for null."""
        answer = await asyncio.wait_for(self.ask(invoked=invoked)[1], 240)
        return None if answer is None else list(answer.items)

    async def command(self, name: str, *arguments: Any) -> Any:
        params = types.ExecuteCommandParams(name, list(arguments))
        answer = await asyncio.wait_for(self.client.workspace_execute_command_async(params), 60)
        return _by_attribute(answer)

    async def explain(self) -> Any:
        return await self.command("fimLsp.explain")


def _by_attribute(value: Any) -> Any:
    """Answers of commands with attributes instead of keys."""
    if isinstance(value, dict):
        return SimpleNamespace(**{key: _by_attribute(item) for key, item in value.items()})
    if isinstance(value, list):
        return [_by_attribute(item) for item in value]
    return value


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
) -> AsyncIterator[Editor]:
    """Start a server and initialize it; at the end it must leave cleanly and with exit code 0."""
    client = make_test_lsp_client()
    statuses: list[Any] = []
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
            initialization_options={"status": True, **(options or {})},
        )
    )
    encoding = result.capabilities.position_encoding or UTF16
    editor = Editor(client, result.capabilities, types.PositionEncodingKind(encoding), statuses)

    @client.feature("fimLsp/status")
    def _(status: Any) -> None:
        statuses.append(status)
        editor.seen.set()

    try:
        yield editor
    finally:
        await asyncio.wait_for(client.shutdown_session(), 20)
        assert client._server is not None
        code = client._server.returncode
        await client.stop()
    assert code == 0


@pytest.fixture
def broken_model(tmp_path):
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + bytes(10))
    return path
