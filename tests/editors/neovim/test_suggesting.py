"""Ghost text while a user types: when it is shown, kept, hidden, and requested."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.editors.neovim.editor import INLINE, Editor

SUM = "def add(a, b):\n    return a + b\n\n\ndef subtract█"
GREET = """names = ["Ada", "Bob"]


def greet(name):
    print("Hello, " + name)


for name in names:
    greet(█)
"""
AUTOMATIC, INVOKED = 2, 1


def requests(editor: Editor) -> list[dict[str, Any]]:
    return editor.record.sent_of(INLINE)


def test_tab_inserts_the_shown_text_into_the_saved_file(editor: Editor) -> None:
    path = editor.open(SUM)
    editor.type("(a")
    shown = editor.wait_ghost()
    expected = editor.with_inserted(shown)
    editor.type("<Tab>")
    editor.wait_text(expected)
    assert editor.save(path) == (expected + "\n").encode()
    editor.wait("the command sent", lambda: _executed(editor, "fimLsp.accepted"))


def _executed(editor: Editor, command: str) -> list[dict[str, Any]]:
    sent = editor.record.sent_of("workspace/executeCommand")
    return [params for params in sent if params["command"] == command]


def test_typing_the_suggestion_keeps_its_remainder_on_the_screen(editor: Editor) -> None:
    editor.open(SUM)
    editor.type("(")
    shown = editor.wait_ghost()
    editor.type(shown[0].replace("<", "<lt>"))
    editor.wait("the remainder", lambda: editor.acceptable and editor.ghost.startswith(shown[1:5]), 20)


def test_no_stale_suggestion_is_accepted_after_other_text(editor: Editor) -> None:
    editor.open(SUM)
    editor.type("(")
    editor.wait_ghost()
    before = editor.text
    editor.type("@<Tab>")  # no suggestion after "(" begins with "@"
    editor.wait("both keys", lambda: len(editor.text) >= len(before) + 2, 20)
    assert editor.text.startswith(before + "@")
    assert editor.text[len(before) + 1 :].isspace()


def test_leaving_insert_mode_hides_ghost_text(editor: Editor) -> None:
    editor.open(SUM)
    editor.type("(")
    editor.wait_ghost()
    editor.type("<Esc>")
    editor.wait("hidden", lambda: not editor.ghosts(), 20)


def test_after_a_dismissal_other_text_brings_other_ghost_text(editor: Editor) -> None:
    editor.open(SUM)
    editor.type("(")
    editor.wait_ghost()
    editor.type("<C-]>")
    assert not editor.ghosts()
    assert not editor.acceptable
    editor.type("x")
    editor.wait_ghost()


def test_the_trigger_requests_even_if_automatic_suggestions_are_off(editor: Editor) -> None:
    editor.configure({"completion": {"automatic": False}})
    editor.open(SUM)
    count = len(requests(editor))
    editor.type("(")
    editor.wait("a request", lambda: len(requests(editor)) > count)
    assert requests(editor)[-1]["context"]["triggerKind"] == AUTOMATIC
    editor.wait("answered", lambda: editor.state == "ready")
    assert not editor.ghosts()
    editor.type("<M-Bslash>")
    shown = editor.wait_ghost()
    assert requests(editor)[-1]["context"]["triggerKind"] == INVOKED
    expected = editor.with_inserted(shown)
    editor.type("<Tab>")
    editor.wait_text(expected)


def test_settings_change_without_a_restart(editor: Editor) -> None:
    server = editor.server_pid()
    editor.open(SUM)
    editor.type("(")
    assert "\n" in editor.wait_ghost()
    editor.configure({"completion": {"multiline": "never"}})
    editor.type("a")
    editor.wait("one line", lambda: editor.acceptable and "\n" not in editor.ghost)
    assert editor.server_pid() == server


@pytest.mark.parametrize("scope", ["all", "language", "buffer"])
def test_no_request_is_sent_while_suggestions_are_off(editor: Editor, scope: str) -> None:
    editor.open(SUM)
    editor.type("(")
    editor.wait_ghost()
    editor.type(f"<Esc>:FimLsp toggle {scope}<CR>")
    editor.wait("off", lambda: editor.status() == "fim: off", 20)
    count = len(requests(editor))
    editor.type("Aa, b):<CR>return a")
    time.sleep(1)  # longer than any delay before a request
    editor.wait("typed", lambda: editor.text.endswith("return a"), 20)
    assert editor.record.sent_of("textDocument/didChange")  # the server still follows the document
    assert len(requests(editor)) == count
    assert not editor.ghosts()
    editor.type(f"<Esc>:FimLsp toggle {scope}<CR>A ")
    editor.wait("another request", lambda: len(requests(editor)) > count, 20)


def test_a_keystroke_sends_at_most_one_request(editor: Editor) -> None:
    editor.open(SUM)
    editor.wait_ghost()
    count = len(requests(editor))
    for key in "(a, b":
        editor.type(key)
    editor.wait_ghost()
    assert 1 <= len(requests(editor)) - count <= 5


def test_text_after_the_cursor_is_kept(editor: Editor) -> None:
    editor.open(GREET)
    editor.type("na")
    shown = editor.wait_ghost()
    line = editor.nvim.current.line
    editor.type("<Tab>")
    editor.wait("accepted", lambda: editor.nvim.current.line != line, 20)
    head = line[: line.index("na") + 2]
    assert editor.nvim.current.line.startswith(head + shown.split("\n")[0])
    assert editor.nvim.current.line.count(")") == editor.nvim.current.line.count("(")
