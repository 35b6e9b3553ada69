"""Accepting parts of a suggestion, undo, and files with other characters, tabs or line ends."""

from __future__ import annotations

import pytest

from tests.editors.neovim.editor import INLINE, Editor
from tests.editors.neovim.test_suggesting import SUM

GO = """package sums

func Add(a int, b int) int {
\treturn a + b
}

func Subtract(a int, b int) int {
\tif a < b {
\t\treturn█"""


def test_word_by_word(editor: Editor) -> None:
    editor.open(SUM)
    editor.type("(")
    shown = editor.wait_ghost()
    before, offset = editor.text, editor.offset
    editor.type("<M-Right>")
    editor.wait("a word", lambda: len(editor.text) > len(before), 20)
    word = editor.text[offset : len(editor.text) - len(before) + offset]
    assert shown.startswith(word)
    assert word != shown
    assert len(word.split()) == 1
    method = "textDocument/didPartiallyAcceptCompletion"
    partly = editor.wait("a notification", lambda: editor.record.sent_of(method))[-1]
    assert partly["item"]["insertText"][: partly["acceptedLength"]].endswith(word)
    editor.wait("the remainder", lambda: editor.ghost == shown[len(word) :], 20)


def test_line_by_line(editor: Editor) -> None:
    editor.open(SUM)
    editor.type("(")
    shown = editor.wait_ghost()
    assert "\n" in shown
    first = editor.with_inserted(shown.split("\n")[0])
    second = editor.with_inserted("\n".join(shown.split("\n")[:2]))
    editor.type("<M-Down>")
    editor.wait_text(first)
    editor.wait("the remainder", lambda: editor.acceptable, 20)
    editor.type("<M-Down>")
    editor.wait_text(second)


def test_undo_reverts_an_accepted_suggestion_in_one_step(editor: Editor) -> None:
    editor.open(SUM)
    editor.type("(")
    shown = editor.wait_ghost()
    before, expected = editor.text, editor.with_inserted(shown)
    editor.type("<Tab>")
    editor.wait_text(expected)
    editor.type("  # more<Esc>")
    editor.wait_text(expected + "  # more")
    editor.type("u")
    editor.wait_text(expected)
    editor.type("u")
    editor.wait_text(before)
    editor.type("<C-r>")
    editor.wait_text(expected)


@pytest.mark.parametrize(
    "line",
    [
        'greet("Zoë 👋🏽")\ngreet("東京 🎌")\ngreet("Zoë 👋🏽"); greet("東京 🎌"); gr█',
        '# 二つの数を足す 🎉\ndef add(a, b):\n    return a + b\n\n\nprint("🎉 足す"); print("🎉 足す", ad█',
    ],
)
def test_columns_are_right_after_emoji_and_cjk(editor: Editor, line: str) -> None:
    path = editor.open(line)
    editor.type("e" if line.endswith("gr█") else "d")
    shown = editor.wait_ghost()
    expected = editor.with_inserted(shown)
    position = editor.record.sent_of(INLINE)[-1]["position"]
    before = editor.nvim.current.line.encode()[: editor.nvim.current.window.cursor[1]].decode()
    encoding = editor.lua("require('fim_lsp.client').get(0).offset_encoding")
    units = len(before.encode()) if encoding == "utf-8" else len(before.encode("utf-16-le")) // 2
    assert position["character"] == units
    editor.type("<Tab>")
    editor.wait_text(expected)
    assert editor.save(path).decode().rstrip("\n") == expected.rstrip("\n")


def test_crlf_files_stay_crlf(editor: Editor) -> None:
    path = editor.open("def add(a, b):\r\n    return a + b\r\n\r\n\r\ndef subtract█\r\n")
    assert editor.nvim.current.buffer.options["fileformat"] == "dos"
    editor.type("(")
    shown = editor.wait_ghost()
    assert "\r" not in shown
    expected = editor.with_inserted(shown)
    editor.type("<Tab>")
    editor.wait_text(expected)
    assert editor.save(path) == (expected + "\n").replace("\n", "\r\n").encode()


def test_tabs_stay_tabs(editor: Editor) -> None:
    path = editor.open(GO, name="sums.go")
    editor.type(" ")
    shown = editor.wait_ghost()
    before = editor.text
    editor.type("<Tab>")
    editor.wait("accepted", lambda: len(editor.text) > len(before), 20)
    inserted = editor.text[len(before) :]
    width = editor.nvim.current.buffer.options["tabstop"]
    assert inserted.expandtabs(width).split() == shown.expandtabs(width).split()
    assert editor.save(path).decode() == before + inserted + "\n"
    assert b"        return" not in path.read_bytes()
