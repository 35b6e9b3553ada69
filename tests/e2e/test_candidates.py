"""Several suggestions for a key, one while typing: over the wire, with real weights, in counts."""

from __future__ import annotations

import pytest
from lsprotocol import types

from fim_lsp.lsp.acceptance_messages import suggestion_of_command
from tests.e2e.conftest import accepted, start

pytestmark = pytest.mark.model

CODE = "def add(a, b):\n    return a +█\n\n\nprint(add(1, 2))\n"
OTHER = "class Stack:\n    def __init__(self):\n        self.items =█\n\n    def pop(self):\n        pass\n"
OPEN = "def area(width, height):\n    █\n\n\nprint(area(1, 2))\n"
ALONE = {"completion": {"prefetch": False, "cacheSize": 0}}


async def test_a_key_is_offered_several_for_one_prefill_and_a_decode_a_token(editor):
    editor.configure(ALONE)
    editor.open(OPEN)
    single = await editor.items()
    (only,) = single
    items = await editor.items(invoked=True)
    assert 1 < len(items) <= 3
    assert len({item.insert_text for item in items}) == len(items)
    explained = await editor.explain()
    assert explained.timings.evaluatedTokens <= 1
    assert len(explained.alternatives) == len(items) - 1
    # Each round is one batch, and no candidate is longer than the most tokens.
    assert 0 < explained.timings.decodes < 160
    assert all(item.range == only.range for item in items)
    candidates = [suggestion_of_command(item.command.arguments).candidate for item in items]
    assert candidates == list(range(len(items)))


async def test_one_candidate_is_one_item(editor):
    editor.configure({"completion": {**ALONE["completion"], "candidates": 1}})
    editor.open(OPEN)
    assert len(await editor.items(invoked=True)) == 1


async def test_a_list_loses_nothing_that_another_document_has_evaluated(editor):
    editor.configure(ALONE)
    first = editor.open(CODE)
    await editor.items()
    editor.open(OTHER, uri="file:///project/stack.py")
    assert await editor.items(invoked=True)
    editor.file = first
    await editor.items()
    assert (await editor.explain()).timings.evaluatedTokens <= 1


@pytest.mark.parametrize("reported_by", ["edit", "command"])
async def test_whichever_is_accepted_what_follows_is_computed_unasked(editor, reported_by):
    editor.open(OPEN)
    items = await editor.items(invoked=True)
    assert len(items) > 1
    chosen, before = items[1], accepted(await editor.explain())
    editor.type(chosen.insert_text.removeprefix("    "))
    if reported_by == "command":
        await editor.command(chosen.command.command, *chosen.command.arguments)
    await editor.items()
    explained = await editor.explain()
    assert explained.source in ("cache", "joined")
    if reported_by == "command":
        assert accepted(explained) == before + 1


async def test_a_menu_is_offered_one():
    async with start(inline=False) as editor:
        await editor.ready()
        editor.open(OPEN)
        context = types.CompletionContext(types.CompletionTriggerKind.Invoked)
        params = types.CompletionParams(editor.identifier, editor.position, context)
        answer = await editor.client.text_document_completion_async(params)
        assert isinstance(answer, types.CompletionList)
        assert len(answer.items) <= 1


async def test_the_decision_about_drafts_is_explained():
    async with start(options={"model": {"speculation": "on"}, **ALONE}) as editor:
        await editor.ready()
        editor.open("x = [1, 2, 3]\ny = [1, 2, 3]\nz = [1, 2, 3]\nw =█\n")
        await editor.items()
        explained = await editor.explain()
        assert explained.speculation == "on by model.speculation"
        timings = explained.timings
        assert 0 < timings.acceptedTokens <= timings.draftedTokens
        assert timings.decodes + timings.acceptedTokens >= timings.generatedTokens - 1
