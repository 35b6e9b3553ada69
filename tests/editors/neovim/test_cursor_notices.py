"""The server is told where the cursor rests, before the user types there."""

from __future__ import annotations

from typing import Any

from tests.editors.neovim.editor import Editor

CURSOR = "fimLsp/cursor"
TEXT = "def add(a, b):\n    return a + b\n\n\ndef subtract(a, b):\n    return a - b█\n"


def notices(editor: Editor) -> list[dict[str, Any]]:
    return editor.record.sent_of(CURSOR)


def test_a_movement_that_rests_is_told_once(editor: Editor) -> None:
    path = editor.open(TEXT)
    editor.type("<Esc>")
    editor.wait("the notice of normal mode", lambda: notices(editor), 20)
    before = len(notices(editor))
    editor.type("ggjjk$")
    editor.wait("a notice", lambda: len(notices(editor)) > before, 20)
    editor.nvim.exec_lua("vim.wait(600)")
    told = notices(editor)[before:]
    assert [notice["position"] for notice in told] == [{"line": 1, "character": len("    return a + b") - 1}]
    assert told[0]["textDocument"]["uri"].endswith(path.name)


def test_typing_sends_no_notice(editor: Editor) -> None:
    editor.open(TEXT)
    editor.nvim.exec_lua("vim.wait(600)")
    before = len(notices(editor))
    editor.type(" + 1")
    editor.wait_ghost()
    editor.nvim.exec_lua("vim.wait(600)")
    assert len(notices(editor)) == before
