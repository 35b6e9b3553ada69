"""What the real server shows while typing, and what it remembers, with real weights."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import URI, DrivenEditor

pytestmark = pytest.mark.model

CODE = "def area(width, height):\n    return width *█\n\n\nprint(area(2, 3))\n"
NORMAL = {"completion": {"eagerness": "normal", "cooldownMs": 0}}


async def because(editor: DrivenEditor) -> str:
    return str((await editor.explain()).droppedBecause)


async def test_a_likely_suggestion_is_shown_and_a_dismissed_one_is_not_shown_again(editor):
    editor.configure(NORMAL)
    editor.open(CODE)
    assert await editor.items()
    editor.client.protocol.notify("fimLsp/dismissed", {"uri": URI})
    editor.type(" ")
    assert await editor.items() == []
    assert await because(editor) == "the user refused it here"
    assert await editor.items(invoked=True)


async def test_nothing_is_shown_after_a_deletion(editor):
    editor.configure(NORMAL)
    editor.open(CODE.replace("*█", "* h█"))
    editor.delete(1)
    assert await editor.items() == []
    assert "whileDeleting" in await because(editor)
    editor.type("h")
    assert await editor.items()


async def test_an_eager_server_shows_where_a_subtle_one_is_silent(editor):
    editor.configure({"completion": {"eagerness": "subtle"}})
    editor.open("# The area of a rect█\ndef area(width, height):\n    return width * height\n")
    assert await editor.items() == []
    assert "in a comment" in await because(editor)
    editor.configure({"completion": {"eagerness": "eager"}})
    assert await editor.items()


async def test_the_expected_text_is_recorded(editor, tmp_path):
    editor.open(CODE)
    place = {"start": {"line": 0, "character": 4}, "end": {"line": 0, "character": 8}}
    answer = await editor.command("fimLsp.expected", {"uri": URI, "range": place})
    assert (answer.recorded > 0, answer.problem) == (True, "")
    refused = await editor.command("fimLsp.expected", {"uri": "file:///nowhere.py", "range": place})
    assert refused.problem
