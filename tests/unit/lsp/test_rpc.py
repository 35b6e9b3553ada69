from __future__ import annotations

import asyncio

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from fim_lsp.lsp.rpc import Protocol, make_converter

URI = "file:///a.py"


class _DroppedAnswers:
    """A writer for answers that the test does not read."""

    def write(self, data: bytes) -> None:
        """Drop it."""


def _protocol() -> Protocol:
    server = LanguageServer("test", "1", protocol_cls=Protocol, converter_factory=make_converter)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    async def _saved(_: types.DidSaveTextDocumentParams) -> None:
        await asyncio.sleep(0)

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    async def _hover(_: types.HoverParams) -> None:
        await asyncio.sleep(0)

    server.protocol.set_writer(_DroppedAnswers())
    server.protocol.handle_message(
        types.InitializeRequest(id=1, params=types.InitializeParams(types.ClientCapabilities()))
    )
    protocol = server.protocol
    assert isinstance(protocol, Protocol)
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
