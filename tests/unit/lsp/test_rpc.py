from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from lsprotocol import types
from pygls.lsp.server import LanguageServer

from fim_lsp.lsp.rpc import ChangedFiles, Protocol, make_converter

URI = "file:///a.py"


class _DroppedAnswers:
    """A writer for answers that the test does not read."""

    def write(self, data: bytes) -> None:
        """Drop it."""


def _protocol(changed: list[list[str]] | None = None) -> Protocol:
    server = LanguageServer("test", "1", protocol_cls=Protocol, converter_factory=make_converter)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    async def _saved(_: types.DidSaveTextDocumentParams) -> None:
        await asyncio.sleep(0)

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    async def _hover(_: types.HoverParams) -> None:
        await asyncio.sleep(0)

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def _changed(params: ChangedFiles) -> None:
        if changed is not None:
            changed.append(list(params.uris))

    server.protocol.set_writer(_DroppedAnswers())
    server.protocol.handle_message(
        types.InitializeRequest(id=1, params=types.InitializeParams(types.ClientCapabilities()))
    )
    protocol = server.protocol
    assert isinstance(protocol, Protocol)
    protocol.use_own_documents()
    return protocol


async def test_nothing_is_kept_of_a_message_once_it_is_handled() -> None:
    """Generators (pygls' own handler of didChange), coroutines, notifications and requests."""
    protocol = _protocol()
    item = types.TextDocumentItem(URI, "python", 0, "")
    protocol.handle_message(types.DidOpenTextDocumentNotification(types.DidOpenTextDocumentParams(item)))
    for version in range(1, 20):
        identifier = types.VersionedTextDocumentIdentifier(version=version, uri=URI)
        change = types.TextDocumentContentChangeWholeDocument(text="x" * version)
        params = types.DidChangeTextDocumentParams(identifier, [change])
        protocol.handle_message(types.DidChangeTextDocumentNotification(params))
        document = types.TextDocumentIdentifier(URI)
        protocol.handle_message(
            types.DidSaveTextDocumentNotification(types.DidSaveTextDocumentParams(document))
        )
        hover = types.HoverParams(document, types.Position(0, 0))
        protocol.handle_message(types.HoverRequest(id=100 + version, params=hover))
    assert protocol.running_handlers
    await asyncio.sleep(0.01)
    assert protocol.workspace.get_text_document(URI).source == "x" * 19
    assert protocol.running_handlers == 0


def _changes(params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": types.WORKSPACE_DID_CHANGE_WATCHED_FILES, "params": params}


def test_changed_files_are_read() -> None:
    changed: list[list[str]] = []
    protocol = _protocol(changed)
    events = [{"uri": f"file:///{kind}.py", "type": kind, "more": None} for kind in (1, 2, 3)]
    protocol.handle_message(_changes({"changes": events, "more": 1}))
    protocol.handle_message(_changes({"changes": []}))
    assert changed == [["file:///1.py", "file:///2.py", "file:///3.py"], []]


@pytest.mark.parametrize(
    "params",
    [
        None,
        [],
        "changes",
        {},
        {"changes": None},
        {"changes": {"uri": URI, "type": 1}},
        {"changes": "ab"},
        {"changes": [None]},
        {"changes": [[URI, 1]]},
        {"changes": [{"uri": URI}]},
        {"changes": [{"type": 1}]},
        {"changes": [{"uri": 5, "type": 1}]},
        {"changes": [{"uri": None, "type": 1}]},
        {"changes": [{"uri": [URI], "type": 1}]},
        {"changes": [{"uri": URI, "type": 0}]},
        {"changes": [{"uri": URI, "type": "1"}]},
        {"changes": [{"uri": URI, "type": [1]}]},
        {"changes": [{"uri": URI, "type": None}]},
        {"changes": [{"uri": URI, "type": 1}, {"uri": URI, "type": 4}]},
    ],
)
def test_malformed_changes_of_files_are_refused_as_a_whole(
    params: Any, caplog: pytest.LogCaptureFixture
) -> None:
    changed: list[list[str]] = []
    protocol = _protocol(changed)
    with caplog.at_level(logging.WARNING):
        protocol.handle_message(_changes(params))
    assert changed == []
    assert "Malformed parameters for workspace/didChangeWatchedFiles" in caplog.text
    protocol.handle_message(_changes({"changes": [{"uri": URI, "type": 1}]}))
    assert changed == [[URI]]
