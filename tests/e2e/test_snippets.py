"""Pieces of other open files in the prompt, with real weights: what is shown, and what it costs in counts."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.conftest import Editor, start

pytestmark = [pytest.mark.model, pytest.mark.timeout(600)]

CART = """\
class Cart:
    def __init__(self, owner):
        self.owner = owner
        self.entries = []

    def total_price(self):
        return sum(entry.price for entry in self.entries)
"""
INVOICE = """\
from shop.cart import Cart


def invoice(cart: Cart):
    █


print(invoice(Cart("owner")).total_price())
"""
FILES = {
    "file:///project/shop/cart.py": CART + "\n    def discount(self):\n        █\n",
    "file:///project/invoice.py": INVOICE,
}
ON = {"model": {"name": "smollm2-135m"}, "prompt": {"snippets": "on"}, "sampling": {"maxTokens": 8}}


async def keystroke(editor: Editor, text: str = "v"):
    """Type and ask; what the server says of it."""
    editor.type(text)
    await editor.items()
    return await editor.explain()


async def shown_to(editor: Editor) -> tuple[list[str], int]:
    """Type, with ever longer pauses, until something of another file is shown; what that keystroke cost."""
    for pause_s in range(2, 20):
        explanation = await keystroke(editor)
        snippets = [part.text for part in explanation.parts if part.kind == "snippet"]
        if snippets:
            return snippets, explanation.timings.evaluatedTokens
        await asyncio.sleep(pause_s)
    pytest.fail("nothing of another file was ever shown")


def switch(editor: Editor, uri: str, places: dict[str, tuple[str, int, int]]) -> None:
    """Go to another document that is open already."""
    places[editor.uri] = (editor.text, editor.cursor, editor.version)
    editor.uri = uri
    editor.text, editor.cursor, editor.version = places[uri]


async def test_two_open_files_show_each_other_and_switching_costs_a_token():
    async with start(options=ON, folders=["file:///project"]) as editor:
        await editor.ready()
        places: dict[str, tuple[str, int, int]] = {}
        for uri, marked in FILES.items():
            editor.open(marked, uri=uri)
            places[uri] = (editor.text, editor.cursor, editor.version)
        cart, invoice = FILES
        snippets, cost = await shown_to(editor)
        assert cost <= 2
        assert any("shop/cart.py" in snippet and "class Cart" in snippet for snippet in snippets)
        explanation = await editor.explain()
        assert explanation.snippets.startswith("shop/cart.py (definition)")
        assert all(part.tokens > 0 for part in explanation.parts)
        switch(editor, cart, places)
        await shown_to(editor)
        await asyncio.sleep(2)
        for uri in (invoice, cart, invoice):
            switch(editor, uri, places)
            costs = [(await keystroke(editor, key)).timings.evaluatedTokens for key in "alue"]
            assert max(costs) <= 2
            assert "snippet" in {part.kind for part in (await editor.explain()).parts}


async def test_an_accepted_suggestion_costs_nothing_beside_snippets():
    async with start(options=ON, folders=["file:///project"]) as editor:
        await editor.ready()
        for uri, marked in FILES.items():
            editor.open(marked, uri=uri)
        await shown_to(editor)
        editor.type("\n    return cart.")
        (item,) = await editor.items()
        line = editor.text[: editor.cursor].rpartition("\n")[2]
        editor.type(item.insert_text.removeprefix(line))
        await editor.items()
        explanation = await editor.explain()
        # The prefetch's own prompt evaluates a token for its logits; the answer may come from the cache.
        assert explanation.timings.evaluatedTokens <= 1
        assert "snippet" in {part.kind for part in explanation.parts}


async def test_secrets_and_strangers_are_not_shown():
    async with start(options=ON, folders=["file:///project"]) as editor:
        await editor.ready()
        editor.open(CART + "█", uri="file:///project/shop/cart.py")
        # As good as the one above, and used after it.
        ignored = "file:///project/ignored.py"
        for uri in ("file:///project/.env", "file:///elsewhere/cart.py", "untitled:Untitled-1", ignored):
            editor.open(CART.replace("owner", "stranger") + "█", uri=uri)
        editor.client.protocol.notify("fimLsp/ignored", {"uris": [ignored]})
        editor.open(INVOICE, uri="file:///project/invoice.py")
        snippets, _ = await shown_to(editor)
        assert ["owner" in snippet for snippet in snippets] == [True]
        assert (await editor.explain()).snippets == "shop/cart.py (definition)"


async def test_a_model_that_was_not_trained_to_read_other_files_is_shown_none():
    async with start(options={**ON, "prompt": {}}, folders=["file:///project"]) as editor:
        await editor.ready()
        for uri, marked in FILES.items():
            editor.open(marked, uri=uri)
        await keystroke(editor)
        await asyncio.sleep(1)
        explanation = await keystroke(editor)
        assert explanation.snippets == "off: the model was not trained to read other files"
        assert "snippet" not in {part.kind for part in explanation.parts}
