"""The command that records what should have been suggested."""

from __future__ import annotations

import pytest
from lsprotocol import types

from fim_lsp.feedback.expected import expected_path
from fim_lsp.lsp.acceptance_messages import range_of_command
from fim_lsp.lsp.documents import LspDocument
from fim_lsp.lsp.expected_command import record_range
from fim_lsp.lsp.notebooks import CellPlace
from fim_lsp.settings import CompletionSettings
from fim_lsp.types import DocumentSnapshot
from training.evaluate.infilling import load_tasks

TEXT = "name = '\U0001f600'\nvalue = name.upper()\n"


@pytest.fixture(autouse=True)
def _state(tmp_path, monkeypatch):
    monkeypatch.setenv("FIM_LSP_STATE", str(tmp_path))


def document(name: str = "a.py") -> LspDocument:
    return LspDocument(f"file:///project/{name}", source=TEXT, version=1, language_id="python")


def at(line: int, character: int) -> types.Position:
    return types.Position(line, character)


async def test_a_range_is_recorded_with_the_code_around_it():
    answer = await record_range(document(), at(1, 8), at(1, 20), CompletionSettings())
    assert answer == {"recorded": 1, "problem": ""}
    (case,) = load_tasks(expected_path())
    assert (case.middle, case.suffix, case.path) == ("name.upper()", "\n", "a.py")


async def test_nothing_is_kept_of_files_where_suggestions_are_off():
    answer = await record_range(document(".env"), at(1, 8), at(1, 20), CompletionSettings())
    assert answer["recorded"] == 0
    assert "off in this file" in answer["problem"]
    assert not expected_path().exists()


async def test_the_other_cells_of_a_notebook_are_around_the_range():
    above = "import json\n\n"
    snapshot = DocumentSnapshot("file:///project/a.ipynb", "python", 1, above + TEXT)
    place = CellPlace(snapshot, len(above))
    answer = await record_range(document(), at(1, 8), at(1, 20), CompletionSettings(), place)
    assert answer == {"recorded": 1, "problem": ""}
    (case,) = load_tasks(expected_path())
    assert (case.middle, case.path) == ("name.upper()", "a.ipynb")
    assert case.prefix.startswith("import json")


async def test_an_empty_range_is_refused_in_words():
    answer = await record_range(document(), at(1, 8), at(1, 8), CompletionSettings())
    assert "Select the text" in answer["problem"]


@pytest.mark.parametrize(
    "argument",
    [
        None,
        {},
        {"uri": 1},
        {"uri": "file:///a.py", "range": {"start": {"line": 0}}},
        {"uri": "x", "range": []},
    ],
)
def test_a_malformed_range_is_none(argument):
    assert range_of_command([argument]) is None
    assert range_of_command([]) is None


def test_a_range_is_read():
    place = {"start": {"line": 1, "character": 2}, "end": {"line": 3, "character": 4}}
    assert range_of_command([{"uri": "file:///a.py", "range": place}]) == ("file:///a.py", at(1, 2), at(3, 4))
