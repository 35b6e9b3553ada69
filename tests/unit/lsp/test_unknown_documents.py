"""Messages about a document that is not open: editors send a change after a close, or close twice."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from benchmarks.large_files import Answers, LargeFileTypist
from fim_lsp.engine.scripted import ScriptedEngine
from fim_lsp.lsp.server import create_server

URI, CELL, NOTEBOOK = (
    "file:///project/a.py",
    "vscode-notebook-cell:/project/a.ipynb#W0",
    "file:///project/a.ipynb",
)
SETTINGS = {"feedback": {"enabled": False}, "model": {"kvStateMb": 0}, "completion": {"debounceMaxMs": 0}}
PLACE = {"line": 0, "character": 1}
CHANGES = [{"range": {"start": PLACE, "end": PLACE}, "text": "x"}]
SELECTED = {"range": {"start": PLACE, "end": PLACE}}


def _document(uri: str) -> dict[str, Any]:
    return {"textDocument": {"uri": uri, "version": 2}}


def _notebook(cells: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"notebookDocument": {"uri": NOTEBOOK, "version": 2}, "change": {"cells": cells}}


STRUCTURE = {"array": {"start": 0, "deleteCount": 1}, "didClose": [{"uri": CELL}]}
NOTIFICATIONS: list[tuple[str, dict[str, Any]]] = [
    ("textDocument/didChange", {**_document(URI), "contentChanges": CHANGES}),
    ("textDocument/didChange", {**_document(URI), "contentChanges": [{"text": "all of it"}]}),
    ("textDocument/didChange", {**_document(CELL), "contentChanges": CHANGES}),
    ("textDocument/didSave", _document(URI)),
    ("textDocument/didClose", _document(URI)),
    ("textDocument/didClose", _document(CELL)),
    ("textDocument/didShowCompletion", {"item": {"command": {"arguments": [{"uri": URI}]}}}),
    ("textDocument/didPartiallyAcceptCompletion", {"item": {"insertText": "x"}, "acceptedLength": 1}),
    ("fimLsp/cursor", {**_document(URI), "position": PLACE}),
    ("fimLsp/dismissed", {"uri": URI}),
    ("fimLsp/ignored", {"uris": [URI, CELL]}),
    ("notebookDocument/didChange", _notebook()),
    ("notebookDocument/didChange", _notebook({"structure": {"array": {"start": 0, "deleteCount": 0}}})),
    ("notebookDocument/didChange", _notebook({"structure": STRUCTURE})),
    (
        "notebookDocument/didChange",
        _notebook({"textContent": [{"document": {"uri": CELL, "version": 2}, "changes": CHANGES}]}),
    ),
    ("notebookDocument/didSave", {"notebookDocument": {"uri": NOTEBOOK}}),
    (
        "notebookDocument/didClose",
        {"notebookDocument": {"uri": NOTEBOOK}, "cellTextDocuments": [{"uri": CELL}]},
    ),
]
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("textDocument/inlineCompletion", {**_document(URI), "position": PLACE, "context": {"triggerKind": 2}}),
    ("textDocument/completion", {**_document(URI), "position": PLACE}),
    ("workspace/executeCommand", {"command": "fimLsp.expected", "arguments": [{"uri": URI, **SELECTED}]}),
    ("workspace/executeCommand", {"command": "fimLsp.accepted", "arguments": [{"uri": URI}]}),
]


class Client:
    """A client that says what it likes about documents."""

    def __init__(self) -> None:
        engine = ScriptedEngine(lambda prompt: "y")
        server = create_server(lambda settings, on_loading: engine, SETTINGS)
        self.typist = LargeFileTypist(server, Answers(), 0, 0)
        server.protocol.set_writer(self.typist.answers)
        self._ids = 200

    async def start(self, capabilities: dict[str, Any]) -> None:
        self.typist.send("initialize", {"processId": None, "capabilities": capabilities}, 1)
        self.typist.send("initialized", {})
        await asyncio.sleep(0)
        await self.request("workspace/executeCommand", {"command": "fimLsp.reload"})

    async def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._ids += 1
        self.typist.send(method, params, self._ids)
        return await asyncio.wait_for(self.typist.answered(self._ids - 100), 10)

    def open_and_close(self) -> None:
        item = {"uri": URI, "languageId": "python", "version": 1, "text": "x = 1\n"}
        self.typist.send("textDocument/didOpen", {"textDocument": item})
        self.typist.send("textDocument/didClose", _document(URI))
        notebook = {"uri": NOTEBOOK, "notebookType": "jupyter-notebook", "version": 1}
        cells = [{"kind": 2, "document": CELL}]
        texts = [{**item, "uri": CELL}]
        opened = {"notebookDocument": {**notebook, "cells": cells}, "cellTextDocuments": texts}
        self.typist.send("notebookDocument/didOpen", opened)
        closed = {"notebookDocument": {"uri": NOTEBOOK}, "cellTextDocuments": [{"uri": CELL}]}
        self.typist.send("notebookDocument/didClose", closed)


@pytest.mark.parametrize("opened_before", [False, True])
@pytest.mark.parametrize("inline", [False, True])
async def test_messages_about_a_document_that_is_not_open_are_ignored(caplog, opened_before, inline):
    client = Client()
    await client.start({"textDocument": {"inlineCompletion": {}} if inline else {}})
    if opened_before:
        client.open_and_close()
    for method, params in NOTIFICATIONS:
        client.typist.send(method, params)
        await asyncio.sleep(0)
    for method, params in REQUESTS:
        if inline or method != "textDocument/inlineCompletion":
            answer = await client.request(method, params)
            assert "error" not in answer or "no method" in answer["error"]["message"], (method, answer)
    # The server goes on.
    item = {"uri": URI, "languageId": "python", "version": 1, "text": "x = "}
    client.typist.send("textDocument/didOpen", {"textDocument": item})
    method = "textDocument/inlineCompletion" if inline else "textDocument/completion"
    params = {
        "textDocument": {"uri": URI},
        "position": {"line": 0, "character": 4},
        "context": {"triggerKind": 1},
    }
    assert (await client.request(method, params))["result"]["items"]
    await client.typist.server.session.close()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
