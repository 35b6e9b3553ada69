"""The cells of a notebook are completed as one document."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from attrs import define, field

from benchmarks.large_files import READY, Answers, LargeFileTypist
from fim_lsp.engine.scripted import ScriptedEngine
from fim_lsp.lsp.server import create_server

NOTEBOOK = "file:///project/work.ipynb"
SETTINGS = {"feedback": {"enabled": False}, "model": {"kvStateMb": 0}, "completion": {"debounceMaxMs": 0}}


def cell_uri(number: int) -> str:
    return f"vscode-notebook-cell:/project/work.ipynb#W{number}"


@define
class Client:
    """A client with one notebook, and the prompts that the model got."""

    prompts: list[str]
    typist: LargeFileTypist
    settings: Mapping[str, Any] = field(factory=dict)
    _ids: int = 200

    def open(self, cells: Sequence[tuple[str, str]], uri: str = NOTEBOOK) -> None:
        """Open a notebook with cells of these languages and texts."""
        notebook = {"uri": uri, "notebookType": "jupyter-notebook", "version": 1}
        kinds = [{"kind": 1 if language == "markdown" else 2} for language, _ in cells]
        listed = [{**kind, "document": cell_uri(number)} for number, kind in enumerate(kinds)]
        items = [
            {"uri": cell_uri(number), "languageId": language, "version": 1, "text": text}
            for number, (language, text) in enumerate(cells)
        ]
        params = {"notebookDocument": {**notebook, "cells": listed}, "cellTextDocuments": items}
        self.typist.send("notebookDocument/didOpen", params)

    def change(self, cells: Mapping[str, Any], uri: str = NOTEBOOK) -> None:
        """Send a change of cells."""
        identifier = {"uri": uri, "version": 2}
        self.typist.send(
            "notebookDocument/didChange", {"notebookDocument": identifier, "change": {"cells": cells}}
        )

    def type(self, number: int, line: int, column: int, text: str) -> None:
        """Insert text into a cell."""
        here = {"line": line, "character": column}
        changes = [{"range": {"start": here, "end": here}, "text": text}]
        document = {"uri": cell_uri(number), "version": 2}
        self.change({"textContent": [{"document": document, "changes": changes}]})

    async def ask(self, number: int, line: int, column: int) -> list[dict[str, Any]]:
        """Ask for a suggestion in a cell, and return the items of the answer."""
        self._ids += 1
        params = {
            "textDocument": {"uri": cell_uri(number)},
            "position": {"line": line, "character": column},
            "context": {"triggerKind": 2},
        }
        self.typist.send("textDocument/inlineCompletion", params, self._ids)
        answer = await asyncio.wait_for(self.typist.answered(self._ids - 100), 10)
        items: list[dict[str, Any]] = answer["result"]["items"]
        return items


@pytest.fixture
async def client():
    prompts: list[str] = []

    def answer(prompt: str) -> str:
        prompts.append(prompt)
        return "loads(text)"

    engine = ScriptedEngine(answer)
    typist = LargeFileTypist(create_server(lambda settings, on_loading: engine, SETTINGS), Answers(), 0, 0)
    typist.server.protocol.set_writer(typist.answers)
    capabilities = {
        "textDocument": {"inlineCompletion": {}},
        "notebookDocument": {"synchronization": {"dynamicRegistration": False}},
    }
    typist.send("initialize", {"processId": None, "capabilities": capabilities}, 1)
    typist.send("initialized", {})
    await asyncio.sleep(0)
    typist.send("workspace/executeCommand", {"command": "fimLsp.reload"}, READY)
    await typist.answered(READY - 100)
    yield Client(prompts, typist)
    await typist.server.session.close()


def _parts(prompt: str) -> tuple[str, str]:
    """Return the text before and after the cursor that a prompt shows, in the anchored layout."""
    prefix, _, rest = prompt.partition("<|fim_suffix|>")
    suffix, _, middle = rest.partition("<|fim_middle|>")
    return prefix.rpartition("<|fim_prefix|>")[2] + middle, suffix


CELLS = (
    ("markdown", "# About json"),
    ("python", "import json"),
    ("sql", "select 1"),
    ("python", "json."),
    ("python", "print(data)"),
)


async def test_the_server_asks_for_all_notebooks(client):
    capabilities = client.typist.answers.by_id[1]["result"]["capabilities"]
    assert capabilities["notebookDocumentSync"]["notebookSelector"] == [{"notebook": "*"}]


async def test_the_cells_above_and_below_are_seen_in_their_order(client):
    client.open(CELLS)
    (item,) = await client.ask(3, 0, 5)
    assert item["insertText"] == "json.loads(text)"
    assert item["range"] == {
        "start": {"line": 0, "character": 0},
        "end": {"line": 0, "character": 5},
    }
    assert _parts(client.prompts[-1]) == ("import json\n\njson.", "\n\nprint(data)")


async def test_a_moved_a_new_and_a_deleted_cell_are_followed(client):
    client.open(CELLS)
    opened = {"uri": cell_uri(9), "languageId": "python", "version": 1, "text": "import yaml"}
    array = {"start": 0, "deleteCount": 2, "cells": [{"kind": 2, "document": cell_uri(9)}]}
    closed = [{"uri": cell_uri(0)}, {"uri": cell_uri(1)}]
    client.change({"structure": {"array": array, "didOpen": [opened], "didClose": closed}})
    await client.ask(3, 0, 5)
    assert _parts(client.prompts[-1]) == ("import yaml\n\njson.", "\n\nprint(data)")


async def test_typing_in_a_cell_is_seen_in_it_and_below(client):
    client.open(CELLS)
    client.type(1, 0, 11, ", re")
    await client.ask(4, 0, 11)
    assert _parts(client.prompts[-1])[0] == "import json, re\n\njson.\n\nprint(data)"


async def test_typing_through_a_suggestion_in_a_cell_asks_the_model_once(client):
    client.open(CELLS)
    await client.ask(3, 0, 5)
    client.type(3, 0, 5, "lo")
    (item,) = await client.ask(3, 0, 7)
    assert item["insertText"] == "json.loads(text)"
    assert len(client.prompts) == 1


async def test_an_accepted_suggestion_names_the_notebook_and_prefetches(client):
    client.open(CELLS)
    (item,) = await client.ask(3, 0, 5)
    assert item["command"]["arguments"][0]["uri"] == NOTEBOOK
    client.type(3, 0, 5, "loads(text)")
    await asyncio.sleep(0.05)
    assert len(client.prompts) == 2
    assert _parts(client.prompts[-1])[0].endswith("json.loads(text)")


@pytest.mark.parametrize("uri", ["file:///project/.ssh/work.ipynb", "file:///project/secrets.env"])
async def test_rules_for_files_hold_for_the_notebooks_path(client, uri):
    client.open(CELLS, uri)
    assert await client.ask(3, 0, 5) == []
    assert client.prompts == []


async def test_a_closed_notebook_is_forgotten(client):
    client.open(CELLS)
    closed = [{"uri": cell_uri(number)} for number in range(len(CELLS))]
    params = {"notebookDocument": {"uri": NOTEBOOK}, "cellTextDocuments": closed}
    client.typist.send("notebookDocument/didClose", params)
    assert await client.ask(3, 0, 5) == []


async def test_a_cell_that_a_client_sends_as_a_plain_document_is_completed_alone(client):
    item = {"uri": cell_uri(7), "languageId": "python", "version": 1, "text": "json."}
    client.typist.send("textDocument/didOpen", {"textDocument": item})
    await client.ask(7, 0, 5)
    assert _parts(client.prompts[-1])[0] == "json."
