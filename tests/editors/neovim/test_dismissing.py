"""Dismissing refuses the suggestion: the server is told, and does not show the text at that place again."""

from __future__ import annotations

from tests.editors.neovim.editor import Editor

SUM = "def add(a, b):\n    return a + b\n\n\ndef subtract█"


def test_a_dismissed_suggestion_is_not_shown_again(editor: Editor) -> None:
    editor.open(SUM)
    editor.type("(a")
    refused = editor.wait_ghost()
    before = len(editor.record.sent_of("fimLsp/dismissed"))
    editor.type("<C-]>")
    editor.wait("the refusal told", lambda: len(editor.record.sent_of("fimLsp/dismissed")) > before, 20)
    assert editor.ghost == ""
    editor.type("<BS>a")
    seen = set()
    for _ in range(30):
        editor.nvim.exec_lua("vim.wait(100)")
        seen.add(editor.ghost)
    assert refused not in seen


def test_leaving_insert_mode_refuses_nothing(editor: Editor) -> None:
    editor.open(SUM)
    editor.type("(a")
    editor.wait_ghost()
    before = len(editor.record.sent_of("fimLsp/dismissed"))
    editor.type("<Esc>")
    editor.nvim.exec_lua("vim.wait(300)")
    assert len(editor.record.sent_of("fimLsp/dismissed")) == before
