"""Snippets of other open files in the prompt, with real weights: which ones, and their cost in counts."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import DrivenEditor, start

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


async def keystroke(editor: DrivenEditor, text: str = "v"):
    """Type and ask; return the explanation of the answer."""
    editor.type(text)
    await editor.items()
    return await editor.explain()


async def snippets_shown(editor: DrivenEditor) -> tuple[list[str], int]:
    """Type until the prompt holds snippets; return them, and the tokens that this keystroke cost."""
    for _ in range(20):
        explanation = await keystroke(editor)
        snippets = [part.text for part in explanation.parts if part.kind == "snippet"]
        if snippets:
            return snippets, explanation.timings.evaluatedTokens
        await editor.rest()
    pytest.fail("the prompt never held a snippet")


async def test_two_open_files_show_each_other_and_switching_costs_a_token():
    async with start(options=ON, folders=["file:///project"]) as editor:
        await editor.ready()
        cart, invoice = [editor.open(marked, uri=uri) for uri, marked in FILES.items()]
        snippets, cost = await snippets_shown(editor)
        assert cost <= 2
        assert any("shop/cart.py" in snippet and "class Cart" in snippet for snippet in snippets)
        explanation = await editor.explain()
        assert explanation.snippets.startswith("shop/cart.py (definition)")
        assert all(part.tokens > 0 for part in explanation.parts)
        editor.file = cart
        await snippets_shown(editor)
        await editor.rest()
        for file in (invoice, cart, invoice):
            editor.file = file
            costs = [(await keystroke(editor, key)).timings.evaluatedTokens for key in "alue"]
            assert max(costs) <= 2
            assert "snippet" in {part.kind for part in (await editor.explain()).parts}


async def test_an_accepted_suggestion_costs_nothing_beside_snippets():
    async with start(options=ON, folders=["file:///project"]) as editor:
        await editor.ready()
        for uri, marked in FILES.items():
            editor.open(marked, uri=uri)
        await snippets_shown(editor)
        editor.type("\n    return cart.")
        (item,) = await editor.items()
        editor.type(editor.headless.ghost_text(editor.file, item))
        await editor.items()
        explanation = await editor.explain()
        # The last token may be evaluated again for its logits.
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
        snippets, _ = await snippets_shown(editor)
        assert ["owner" in snippet for snippet in snippets] == [True]
        assert (await editor.explain()).snippets == "shop/cart.py (definition)"


async def test_a_model_that_was_not_trained_to_read_other_files_is_shown_none():
    async with start(options={**ON, "prompt": {}}, folders=["file:///project"]) as editor:
        await editor.ready()
        for uri, marked in FILES.items():
            editor.open(marked, uri=uri)
        await keystroke(editor)
        await editor.rest()
        explanation = await keystroke(editor)
        assert explanation.snippets == "off: the model was not trained to read other files"
        assert "snippet" not in {part.kind for part in explanation.parts}
