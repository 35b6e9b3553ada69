"""Pairs that the editor closed before the suggestion came: the accepted line has each closer once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.editors.neovim.editor import PLUGIN, Editor, plugin_options, start
from tests.editors.pairs import PAIRS, PairCase

# As plugins that close pairs do: the closer is inserted behind the cursor.
CLOSING = """
for open, close in pairs({ ['('] = ')', ['{'] = '}', ['['] = ']', ['"'] = '"', ['`'] = '`' }) do
  vim.keymap.set('i', open, open .. close .. '<C-g>U<Left>')
end
"""


@pytest.fixture
def answer(tmp_path: Path) -> Path:
    """Provide the file that holds the answer of the scripted server."""
    file = tmp_path / "answer.txt"
    file.write_text("", encoding="utf-8")
    return file


def test_each_closer_stands_there_once(variant: tuple[str, str], folder: Path, answer: Path) -> None:
    nvim, display = variant
    server = PLUGIN.parents[1] / "tests" / "editors" / "scripted_server.py"
    command = [os.environ["FIM_LSP_PYTHON"], str(server), str(answer), "--stdio"]
    options = plugin_options(folder, display, cmd=command)
    with start(nvim, folder, options, init=CLOSING, display=display) as editor:
        assert {case.name: accepted_line(editor, answer, case) for case in PAIRS} == {
            case.name: case.line for case in PAIRS
        }


def accepted_line(editor: Editor, answer: Path, case: PairCase) -> str:
    """Type a case's line, accept the suggestion, and return the line."""
    answer.write_text(case.generated, encoding="utf-8")
    editor.open("█\n", name=case.file)
    editor.type(case.typed.replace("<", "<lt>"))
    editor.wait_ghost()
    answer.write_text("", encoding="utf-8")  # nothing to suggest behind it
    before = editor.text
    editor.type("<Tab>")
    editor.wait("the accepted text", lambda: editor.text != before, 20)
    return editor.text.removesuffix("\n")
