"""Nothing is evaluated twice: what accepting, deleting and switching files cost with real weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.e2e.conftest import DrivenEditor

pytestmark = pytest.mark.model

CODE = "def add(a, b):\n    return a +█\n\n\nprint(add(1, 2))\n"
OTHER = "class Stack:\n    def __init__(self):\n        self.items =█\n\n    def pop(self):\n        pass\n"
ALONE = {"completion": {"prefetch": False, "cacheSize": 0}}
"""Without the next suggestion being computed ahead, and without answers from the cache."""


async def start_cold(editor: DrivenEditor, settings: Mapping[str, Any]) -> None:
    """Load the model again, so that nothing is evaluated yet."""
    editor.configure(settings)
    await editor.command("fimLsp.reload")


async def evaluated(editor: DrivenEditor) -> int:
    """Return the prompt tokens that an answer at the cursor costs."""
    await editor.items(invoked=True)
    return int((await editor.explain()).timings.evaluatedTokens)


async def suggested(editor: DrivenEditor) -> str:
    """Return the suggestion at the cursor."""
    items = await editor.items(invoked=True)
    assert items
    return editor.headless.ghost_text(editor.file, items[0])


async def test_an_accepted_suggestion_costs_no_prefill(editor):
    await start_cold(editor, ALONE)
    editor.open(CODE)
    editor.type(await suggested(editor))
    assert await evaluated(editor) <= 1


async def test_a_suggestion_accepted_in_part_costs_no_prefill(editor):
    await start_cold(editor, ALONE)
    editor.open(CODE)
    whole = await suggested(editor)
    editor.type(whole[: len(whole) // 2])
    assert await evaluated(editor) <= 1


async def test_backspace_costs_no_prefill(editor):
    await start_cold(editor, ALONE)
    editor.open(CODE)
    editor.type(" first_value")
    await editor.items(invoked=True)
    for _ in range(5):
        editor.delete(1)
        assert await evaluated(editor) <= 1


async def test_a_key_within_a_word_costs_no_prefill(editor):
    await start_cold(editor, ALONE)
    editor.open(CODE)
    editor.type(" f")
    await editor.items(invoked=True)
    for key in "irst":
        editor.type(key)
        assert await evaluated(editor) == 0


@pytest.mark.parametrize("key", ["f", "(", "\n    "])
async def test_the_first_key_where_the_cursor_rested_costs_no_prefill(editor, key):
    await start_cold(editor, ALONE)
    editor.open("def add(first, second):\n    return first█\n\n\nprint(add(1, 2))\n")
    editor.headless.rest(editor.file)
    await editor.rest()
    editor.type(key)
    assert await evaluated(editor) == 0


async def test_switching_to_another_document_and_back_costs_no_prefill(editor):
    await start_cold(editor, ALONE)
    first = editor.open(CODE)
    assert await evaluated(editor) > 10
    editor.open(OTHER, uri="file:///project/stack.py")
    assert await evaluated(editor) > 10
    editor.file = first
    assert await evaluated(editor) <= 1


async def test_what_follows_an_accepted_suggestion_is_computed_unasked(editor):
    await start_cold(editor, {})
    editor.open(CODE)
    items = await editor.items()
    assert items
    suggestion = items[0].insert_text
    editor.type(suggestion[len("    return a +") :])
    await editor.items()
    assert (await editor.explain()).source in ("cache", "joined")
