"""Pieces of other files in the prompt: chosen while nobody waits, frozen while anybody types."""

from __future__ import annotations

import asyncio
from pathlib import PurePath

import pytest
from attrs import evolve

from fim_lsp.settings import from_wire
from fim_lsp.types import CompletionRequest, DocumentSnapshot
from tests.unit.completion.conftest import URI, request

CART = "class Cart:\n    def total_price(self):\n        return sum(self.prices)\n"
SECRET = "TOKEN = '" + "q8Zr7LmX2vN4bT6yW9sK" + "'\n"
OTHER = "file:///project/shop/cart.py"
HERE = "from shop.cart import Cart\n\n\ndef invoice(cart: Cart):\n    █\n\n\nprint(invoice, cart.prices)\n"
PROMPT = {"snippets": "on", "healTokens": False, "maxTokens": 2000}
MODELS = {
    "suffix first": ({"name": "x", "template": "fim-lsp"}, {}),
    "anchored": ({"name": "x", "template": "qwen"}, {"layout": "anchored"}),
}


def typed(text: str, version: int, marked: str = HERE, **options) -> CompletionRequest:
    return request(marked.replace("█", text + "█"), version=version, **options)


def snapshot(uri: str, text: str, language: str = "python") -> DocumentSnapshot:
    return DocumentSnapshot(uri, language, 1, text)


@pytest.fixture(params=MODELS)
async def desk(request, make_desk):
    model, layout = MODELS[request.param]
    desk = await make_desk(pause_s=0, model=model, prompt={**PROMPT, **layout})
    desk.folders.append(PurePath("/project"))
    desk.completer.opened(snapshot(OTHER, CART), desk.settings)
    desk.completer.opened(snapshot(URI, HERE.replace("█", "")), desk.settings)
    await desk.rest()
    return desk


def shown(desk) -> list[str]:
    return [part.text for part in desk.explanation.parts if part.kind == "snippet"]


async def test_snippets_come_while_nobody_waits_and_cost_the_user_nothing(desk):
    await desk.cost(typed("", 1))
    assert shown(desk) == []
    assert desk.explanation.snippets == "none of other files chosen yet"
    spent = len(desk.evaluated)
    await desk.rest()
    assert len(desk.evaluated) - spent > 100
    assert await desk.cost(typed("x", 2)) <= 2
    (snippet,) = shown(desk)
    assert "shop/cart.py" in snippet
    assert "def total_price" in snippet
    assert desk.explanation.snippets == "shop/cart.py (definition)"


async def test_typing_on_costs_a_token_a_key_and_an_accept_none(desk):
    await desk.cost(typed("", 1))
    await desk.rest()
    text = "value = cart.total_price()\n    pri"
    costs = []
    for count in range(1, len(text) + 1):
        costs.append(await desk.cost(typed(text[:count], count + 1)))
        assert shown(desk)
        await desk.rest()
    assert max(costs) <= 2
    completion = await desk.complete(typed(text, 99))
    assert completion is not None
    await desk.rest()
    # The last token may be evaluated again for its logits.
    assert await desk.cost(typed(text + completion.text, 100)) <= 1


async def test_edits_elsewhere_change_a_prompt_in_idle_time_alone(desk):
    await desk.cost(typed("", 1))
    await desk.rest()
    await desk.cost(typed("x", 2))
    before = shown(desk)
    desk.completer.edited(OTHER, 2, CART.replace("total_price", "total_price_with_tax"))
    assert await desk.cost(typed("xy", 3)) <= 2
    assert shown(desk) == before
    await desk.rest()
    assert await desk.cost(typed("xyz", 4)) <= 2
    (after,) = shown(desk)
    assert "total_price_with_tax" in after


async def test_an_interrupted_choice_is_not_adopted(desk):
    await desk.cost(typed("", 1))
    desk.gate.clear()
    while desk.worker.idle:
        await asyncio.sleep(0.001)
    asked = asyncio.create_task(desk.complete(typed("x", 2)))
    await asyncio.sleep(0)
    desk.gate.set()
    await asked
    assert shown(desk) == []
    assert desk.explanation.timings.evaluated_tokens <= 2


async def test_switching_to_the_other_document_and_back_costs_a_token(desk):
    there = CART + "\n\ncart = Cart()\n█\n"
    for version in range(1, 4):
        for text, uri in ((HERE, URI), (there, OTHER)):
            await desk.cost(typed("a" * version, version, text, uri=uri))
            await desk.rest()
    assert await desk.cost(typed("aaaa", 4)) <= 2
    assert shown(desk)
    assert await desk.cost(typed("aaaa", 4, there, uri=OTHER)) <= 2
    assert "invoice" in shown(desk)[0]


async def test_a_model_loaded_again_finds_the_same_snippets(desk):
    await desk.cost(typed("", 1))
    await desk.rest()
    desk.completer.model_changed(desk.engine, desk.settings)
    await desk.rest()
    assert await desk.cost(typed("x", 2)) <= 2
    assert shown(desk)


async def test_a_model_that_does_not_read_other_files_is_shown_none_of_the_last_ones(make_desk):
    desk = await make_desk(pause_s=0, prompt={**PROMPT, "snippets": "auto"})
    desk.completer.opened(snapshot(OTHER, CART), desk.settings)
    await desk.cost(typed("", 1))
    await desk.rest()
    await desk.cost(typed("x", 2))
    assert shown(desk)
    info = evolve(desk.engine.info, metadata={"fim_lsp.repository_context": "false"})
    desk.completer.model_changed(evolve(desk.engine, info=info), desk.settings)
    await desk.cost(typed("xy", 3))
    assert shown(desk) == []


async def test_closing_a_document_leaves_it_of_use(desk):
    desk.completer.closed(OTHER)
    await desk.cost(typed("", 1))
    await desk.rest()
    await desk.cost(typed("x", 2))
    assert len(shown(desk)) == 1


@pytest.mark.parametrize(
    "completion", [{"disabledFiles": ["cart.*"]}, {"disabledLanguages": ["python-like"]}]
)
async def test_what_is_turned_off_is_gone_with_the_next_prompt(desk, completion):
    desk.completer.opened(snapshot(OTHER, CART, "python-like"), desk.settings)
    await desk.cost(typed("", 1))
    await desk.rest()
    await desk.cost(typed("x", 2))
    assert shown(desk)
    desk.settings = evolve(
        desk.settings, completion=from_wire({"completion": {"debounceMaxMs": 0, **completion}}).completion
    )
    desk.completer.settings_changed(desk.settings)
    for count in (2, 3):
        await desk.cost(typed("x" * count, count + 1))
        assert shown(desk) == []
        await desk.rest()


async def test_a_file_that_must_stay_out_by_now_is_gone_from_prompt_and_remembered_suggestions(desk):
    await desk.cost(typed("", 1))
    await desk.rest()
    await desk.cost(typed("x", 2))
    assert shown(desk)
    await desk.complete(typed("x", 3))
    assert desk.explanation.source == "cache"
    desk.completer.forget_files(["shop/elsewhere.py"])
    await desk.complete(typed("x", 4))
    assert desk.explanation.source != "cache"
    assert shown(desk)
    # The prompts that are planned for this pause have it too.
    desk.completer.forget_files(["shop/elsewhere.py", "shop/cart.py"])
    await desk.rest()
    await desk.complete(typed("x", 5))
    assert desk.explanation.source != "cache"
    assert shown(desk) == []
    assert desk.worker.asked[-1][0].draft == ""


async def test_a_secret_takes_its_document_out_of_prompt_and_remembered_suggestions(desk):
    await desk.cost(typed("", 1))
    await desk.rest()
    await desk.cost(typed("x", 2))
    await desk.complete(typed("x", 3))
    assert shown(desk)
    assert desk.explanation.source == "cache"
    desk.completer.edited(OTHER, 2, CART + SECRET)
    await desk.complete(typed("x", 4))
    assert desk.explanation.source != "cache"
    assert shown(desk) == []
    assert desk.worker.asked[-1][0].draft == ""
    for version in (5, 6):
        await desk.rest()
        await desk.cost(typed("x" * version, version))
        assert shown(desk) == []
    desk.completer.edited(OTHER, 3, CART)
    await desk.rest()
    await desk.cost(typed("x", 7))
    await desk.rest()
    await desk.cost(typed("xy", 8))
    assert shown(desk)


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("file:///project/.env.cart", CART),
        (OTHER, CART + SECRET),
        ("file:///elsewhere/cart.py", CART),
        ("git:/project/shop/cart.py", CART),
        (OTHER, CART + "x" * 1001),
        (OTHER, CART + "\0"),
        (OTHER, CART + "x = 1\n" * 200_000),
    ],
)
async def test_what_must_not_be_shown_is_not(make_desk, uri, text):
    desk = await make_desk(pause_s=0, model=MODELS["suffix first"][0], prompt=PROMPT)
    desk.folders.append(PurePath("/project"))
    desk.completer.opened(snapshot(uri, text), desk.settings)
    for count in (0, 1):
        await desk.cost(typed("x" * count, count + 1))
        assert shown(desk) == []
        await desk.rest()


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        ({"prompt": {"snippets": "off"}}, "off by the settings"),
        ({"prompt": {"snippets": "on", "snippetShare": 0}}, "off by the settings"),
        ({"prompt": {"snippets": "on", "maxSnippets": 0}}, "off by the settings"),
        (
            {"prompt": {"snippets": "on"}, "model": {"sequences": 2}},
            "off: model.sequences is below 3",
        ),
        (
            {"prompt": {"snippets": "auto"}, "model": {"template": "fim-lsp"}},
            "off: the model was not trained to read other files",
        ),
    ],
)
async def test_snippets_can_be_off_and_it_is_said_why(make_desk, wire, reason):
    desk = await make_desk(pause_s=0, **wire)
    desk.completer.opened(snapshot(OTHER, CART), desk.settings)
    for count in (0, 1):
        await desk.cost(typed("x" * count, count + 1))
        await desk.rest()
        assert (shown(desk), desk.explanation.snippets) == ([], reason)


async def test_a_large_file_leaves_snippets_their_share(desk):
    large = HERE.replace("█", "x = cart.total_price()\n    " * 200 + "█" + "\n    y = 2" * 200)
    await desk.cost(typed("", 1, large))
    await desk.rest()
    await desk.cost(typed("x", 2, large))
    assert shown(desk)
    assert sum(part.tokens for part in desk.explanation.parts) <= 2000


async def test_in_the_plain_layout_snippets_add_nothing_to_a_keystroke(make_desk):
    """There each key costs what stands behind the cursor's place; what stands in front is kept."""
    costs = {}
    for snippets in ("off", "auto"):
        prompt = {**PROMPT, "snippets": snippets}
        desk = await make_desk(pause_s=0, model={"name": "x", "template": "qwen"}, prompt=prompt)
        desk.completer.opened(snapshot(OTHER, CART), desk.settings)
        keys = []
        for count in range(6):
            keys.append(await desk.cost(typed("total"[:count], count + 1)))
            await desk.rest()
        costs[snippets] = keys
        assert bool(shown(desk)) is (snippets == "auto")
    assert costs["auto"][2:] == costs["off"][2:]


async def test_going_far_down_keeps_the_snippets_evaluated(desk):
    long = HERE + "".join(f"line_{n} = value_{n}\n" for n in range(60))
    there = long.replace("█", "") + "█\n"
    await desk.cost(typed("", 1, long))
    await desk.rest()
    await desk.cost(typed("x", 2, long))
    assert shown(desk)
    await desk.cost(typed("x", 3, there))
    timings = desk.explanation.timings
    assert shown(desk)
    assert timings.reused_tokens > sum(
        part.tokens for part in desk.explanation.parts if part.kind == "snippet"
    )
