"""Nothing is evaluated twice: what accepting, deleting and switching files cost with real weights."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Editor, start

pytestmark = pytest.mark.model

CODE = "def add(a, b):\n    return a +█\n\n\nprint(add(1, 2))\n"
OTHER = "class Stack:\n    def __init__(self):\n        self.items =█\n\n    def pop(self):\n        pass\n"
ALONE = {"completion": {"prefetch": False, "cacheSize": 0}}
"""Without the next suggestion being computed ahead, and without answers from the cache."""


async def evaluated(editor: Editor) -> int:
    """Prompt tokens that an answer at the cursor costs."""
    await editor.items(invoked=True)
    return int((await editor.explain()).timings.evaluatedTokens)


async def suggested(editor: Editor) -> str:
    """What is offered behind the cursor."""
    items = await editor.items(invoked=True)
    assert items
    return str(items[0].insert_text[len(editor.text[: editor.cursor].rsplit("\n", 1)[-1]) :])


async def test_an_accepted_suggestion_costs_no_prefill():
    async with start(options=ALONE) as editor:
        await editor.ready()
        editor.open(CODE)
        editor.type(await suggested(editor))
        assert await evaluated(editor) <= 1


async def test_a_suggestion_accepted_in_part_costs_no_prefill():
    async with start(options=ALONE) as editor:
        await editor.ready()
        editor.open(CODE)
        whole = await suggested(editor)
        editor.type(whole[: len(whole) // 2])
        assert await evaluated(editor) <= 1


async def test_backspace_costs_no_prefill():
    async with start(options=ALONE) as editor:
        await editor.ready()
        editor.open(CODE)
        editor.type(" first_value")
        await editor.items(invoked=True)
        for _ in range(5):
            editor.delete(1)
            assert await evaluated(editor) <= 1


async def test_switching_to_another_document_and_back_costs_no_prefill():
    async with start(options=ALONE) as editor:
        await editor.ready()
        editor.open(CODE)
        assert await evaluated(editor) > 10
        first = editor.text, editor.cursor, editor.version, editor.uri
        editor.open(OTHER, uri="file:///project/stack.py")
        assert await evaluated(editor) > 10
        editor.text, editor.cursor, editor.version, editor.uri = first
        assert await evaluated(editor) <= 1


async def test_what_follows_an_accepted_suggestion_is_computed_unasked():
    async with start() as editor:
        await editor.ready()
        editor.open(CODE)
        items = await editor.items()
        assert items
        offered = items[0].insert_text
        editor.type(offered[len("    return a +") :])
        await editor.items()
        assert (await editor.explain()).source in ("cache", "joined")
