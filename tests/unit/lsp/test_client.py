"""The documents of a headless editor, against those of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types
from pygls.workspace import PositionCodec

from fim_lsp.lsp.client import HeadlessEditor, ServerFailedError
from fim_lsp.lsp.documents import LspDocument

UTF16 = types.PositionEncodingKind.Utf16
TEXTS = st.text(alphabet="ab\n😀", max_size=20)


@define
class ServerSide:
    """The other end of a client: applies what the editor sends."""

    document: LspDocument | None = None
    edits: int = 0
    handlers: dict[str, Callable[[Any], None]] = field(factory=dict)

    def feature(self, method: str) -> Callable[[Callable[[Any], None]], None]:
        return lambda handler: self.handlers.update({method: handler})

    def text_document_did_open(self, params: types.DidOpenTextDocumentParams) -> None:
        self.document = LspDocument(
            params.text_document.uri,
            source=params.text_document.text,
            version=params.text_document.version,
            language_id=params.text_document.language_id,
            sync_kind=types.TextDocumentSyncKind.Incremental,
            position_codec=PositionCodec(UTF16),
        )

    def text_document_did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        for change in params.content_changes:
            self.document.apply_change(change)
            self.edits += 1


def _open(text: str, cursor: int = 0):
    server = ServerSide()
    editor = HeadlessEditor(server)
    return server, editor, editor.open("file:///a.py", "python", text, cursor)


@given(TEXTS, TEXTS)
def test_a_rewrite_is_one_edit_and_gives_the_server_the_same_text(before, after):
    server, editor, file = _open(before)
    editor.rewrite(file, after, len(after))
    assert server.document.source == file.text == after
    assert file.cursor == len(after)
    assert server.edits == (before != after)


@given(TEXTS, TEXTS, st.data())
def test_typing_inserts_at_the_cursor(text, typed, data):
    cursor = data.draw(st.integers(0, len(text)))
    server, editor, file = _open(text, cursor)
    editor.insert(file, typed)
    assert server.document.source == file.text == text[:cursor] + typed + text[cursor:]
    assert file.cursor == cursor + len(typed)


@pytest.mark.parametrize(
    ("start", "inserted", "ghost"),
    [(0, "    return x", "x"), (11, "x", "x"), (8, "rn x + y", "x + y")],
)
def test_ghost_text_is_what_an_item_adds_behind_the_cursor(start, inserted, ghost):
    _, editor, file = _open("def f(x):\n    return \n", len("def f(x):\n    return "))
    replaced = types.Range(types.Position(1, start), types.Position(1, 11))
    assert editor.ghost_text(file, types.InlineCompletionItem(inserted, range=replaced)) == ghost


@pytest.mark.parametrize("kind", ["Normal", "Error"])
async def test_the_editor_is_ready_when_the_load_has_ended(kind):
    server, editor, _ = _open("")
    ready = asyncio.create_task(editor.ready())
    for status in (("Normal", "Loading tiny", True), (kind, "tiny", False)):
        server.handlers["fimLsp/status"](SimpleNamespace(kind=status[0], message=status[1], busy=status[2]))
    if kind == "Error":
        with pytest.raises(ServerFailedError, match="tiny"):
            await asyncio.wait_for(ready, 5)
    else:
        assert await asyncio.wait_for(ready, 5) == "tiny"
