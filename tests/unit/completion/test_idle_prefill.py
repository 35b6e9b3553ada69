"""Work that nobody waits for: what it saves, and that it gives way. Counted in prompt tokens, a byte each."""

from __future__ import annotations

import asyncio

import pytest
from attrs import evolve

from fim_lsp.completion.idle_prefill import IdlePrefill, PrefillOrder
from fim_lsp.completion.prompts import PlannedPrefill
from fim_lsp.gguf_keys import ANCHORED_MIDDLES
from fim_lsp.types import DocumentSnapshot, Prompt, Trigger
from tests.unit.completion.conftest import URI, request

LINES = [f"line_{n} = value_{n}\n" for n in range(40)]
SUFFIX_FIRST = {"name": "x", "template": "fim-lsp"}
UNHEALED = {"healTokens": False}


def at_line(number: int, typed: str = "", **options):
    """Provide a cursor at the beginning of a line, behind what was typed there."""
    return request("".join(LINES[:number]) + typed + "█" + "".join(LINES[number:]), **options)


def snapshot(text: str) -> DocumentSnapshot:
    return DocumentSnapshot(URI, "python", 1, text)


async def test_typing_in_a_model_that_learnt_anchored_middles_costs_a_token_a_key(make_desk):
    desk = await make_desk(pause_s=0, model={"name": "x", "template": "qwen"}, prompt=UNHEALED)
    info = evolve(desk.engine.info, metadata={ANCHORED_MIDDLES: "true"})
    desk.completer.model_changed(evolve(desk.engine, info=info), desk.settings)
    text, costs = "line = 1", []
    for count in range(len(text) + 1):
        costs.append(await desk.cost(at_line(20, text[:count], version=count + 1)))
        await desk.rest()
    assert costs[0] > 100
    assert max(costs[1:]) <= 2


async def test_going_down_a_line_is_answered_at_once_and_anchored_anew_meanwhile(make_desk):
    desk = await make_desk(pause_s=0, model=SUFFIX_FIRST, prompt=UNHEALED)
    whole = await desk.cost(at_line(20))
    await desk.rest()
    # The suffix of before still serves: only the line that the cursor passed is evaluated.
    assert await desk.cost(at_line(21, version=2)) <= len(LINES[20]) + 1 < whole
    stale = desk.explanation.parts
    await desk.rest()
    assert await desk.cost(at_line(21, "x", version=3)) <= 2
    fresh = desk.explanation.parts
    assert [part.text.count("line_20") for part in stale if part.kind == "suffix"] == [1]
    assert [part.text.count("line_20") for part in fresh if part.kind == "suffix"] == [0]


async def test_going_far_down_is_not_answered_on_a_stale_suffix(make_desk):
    desk = await make_desk(model=SUFFIX_FIRST, prompt=UNHEALED)
    await desk.cost(at_line(5))
    await desk.cost(at_line(30, version=2))
    suffix = [part.text for part in desk.explanation.parts if part.kind == "suffix"]
    assert suffix == ["".join(LINES[30:])]


async def test_the_user_never_pays_for_a_window_that_moves(make_desk):
    desk = await make_desk(pause_s=0, model=SUFFIX_FIRST, prompt={**UNHEALED, "maxTokens": 256})
    costs, typed = [], ""
    for version in range(120):
        typed += "name = 1\n"[version % 9]
        costs.append(await desk.cost(at_line(20, typed, version=version)))
        await desk.rest()
    assert max(costs[1:]) <= 3


async def test_without_the_background_the_user_does(make_desk):
    """Show the outcome of the test above if idle prefill did nothing."""
    desk = await make_desk(model=SUFFIX_FIRST, prompt={**UNHEALED, "maxTokens": 256})
    costs = [
        await desk.cost(at_line(20, ("name = 1\n" * 14)[:count], version=count)) for count in range(1, 120)
    ]
    assert max(costs[1:]) > 20


async def test_work_in_the_background_ends_when_a_request_comes(make_desk):
    desk = await make_desk(pause_s=0, model=SUFFIX_FIRST, prompt=UNHEALED)
    await desk.cost(at_line(20))
    await desk.rest()
    await desk.cost(at_line(21, version=2))
    desk.gate.clear()
    while desk.worker.idle:
        await asyncio.sleep(0.001)
    spent = len(desk.evaluated)
    asked = asyncio.create_task(desk.complete(at_line(21, "y", version=3)))
    await asyncio.sleep(0)
    desk.gate.set()
    await asked
    # The one that waited at the gate, those of the request, and what it generated.
    timings = desk.explanation.timings
    assert len(desk.evaluated) - spent <= 2 + timings.evaluated_tokens + timings.generated_tokens


async def test_what_was_evaluated_before_an_interruption_is_not_evaluated_again(make_desk):
    desk = await make_desk(pause_s=0, model=SUFFIX_FIRST, prompt=UNHEALED)
    whole = await desk.cost(at_line(20))
    await desk.rest()
    await desk.cost(at_line(21, version=2))
    spent = len(desk.evaluated)
    left = iter(range(whole // 2))
    desk.at_token.append(lambda: next(left, None) is None and desk.completer.stop())
    await desk.rest()
    first = len(desk.evaluated) - spent
    assert first < whole
    await desk.cost(at_line(21, "x", version=3))
    left = iter(range(10_000))
    spent = len(desk.evaluated)
    await desk.rest()
    assert len(desk.evaluated) - spent < whole - first + 8


@pytest.mark.parametrize(("template", "served"), [("qwen", True), ("fim-lsp", False)])
async def test_an_opened_document_is_evaluated_as_far_as_the_cursor_does_not_matter(
    make_desk, template, served
):
    desk = await make_desk(pause_s=0, model={"name": "x", "template": template}, prompt=UNHEALED)
    desk.completer.opened(snapshot("".join(LINES[:10])), desk.settings)
    await desk.rest()
    evaluated = len(desk.evaluated)
    assert (evaluated > 0) is served
    asked = request("".join(LINES[:8]) + "█" + "".join(LINES[8:10]))
    cost = await desk.cost(asked)
    if served:
        assert cost < len("".join(LINES[8:10])) + 8


async def test_a_document_opened_before_the_model_is_there_is_evaluated_then(make_desk):
    desk = await make_desk(pause_s=0, loaded=False, model={"name": "x", "template": "qwen"})
    desk.completer.opened(snapshot("".join(LINES)), desk.settings)
    await desk.rest()
    assert not desk.evaluated
    desk.completer.model_changed(desk.engine, desk.settings)
    await desk.rest()
    assert desk.evaluated


@pytest.mark.parametrize("completion", [{"enabled": False}, {"disabledFiles": ["a.py"]}])
async def test_what_is_turned_off_is_not_prepared_either(make_desk, completion):
    desk = await make_desk(pause_s=0, completion=completion)
    desk.completer.opened(snapshot("".join(LINES)), desk.settings)
    await desk.rest()
    assert not desk.evaluated


SAID = "return value"
CODE = "def f():\n    █\n\nprint(f())\n"


def accepted(marked: str = CODE, said: str = SAID, **options):
    return request(marked.replace("█", said + "█"), **options)


async def offering_desk(make_desk, **wire):
    desk = await make_desk(lambda prompt: "\n" if SAID in prompt else SAID, **wire)
    await desk.complete(request(CODE))
    assert desk.generations == 1
    return desk


@pytest.mark.parametrize("told", ["edit", "command", "command first", "both"])
async def test_what_follows_an_accepted_suggestion_is_there_when_it_is_asked_for(make_desk, told):
    desk = await offering_desk(make_desk)
    after = accepted(version=2)
    if told.startswith("command"):
        desk.completer.accepted(None)
    if told != "command":
        desk.completer.edited(URI, 2, after.document.text)
    if told == "both":
        desk.completer.accepted(URI)
    await desk.rest()
    assert desk.generations == 2
    spent = len(desk.evaluated)
    await desk.complete(after)
    assert desk.explanation.source == "cache"
    assert (desk.generations, len(desk.evaluated)) == (2, spent)


async def test_a_request_joins_what_was_begun_for_it(make_desk):
    desk = await offering_desk(make_desk)
    desk.gate.clear()
    desk.completer.edited(URI, 2, accepted().document.text)
    asked = asyncio.create_task(desk.complete(accepted(version=2)))
    await asyncio.sleep(0)
    desk.gate.set()
    await asked
    assert desk.explanation.source == "joined"
    assert desk.generations == 2


async def test_a_request_that_joins_learns_that_there_is_nothing_to_offer(make_desk):
    desk = await make_desk(lambda prompt: "" if SAID in prompt else SAID)
    await desk.complete(request(CODE))
    desk.gate.clear()
    desk.completer.edited(URI, 2, accepted().document.text)
    asked = asyncio.create_task(desk.complete(accepted(version=2)))
    await asyncio.sleep(0)
    desk.gate.set()
    assert await asked is None
    assert desk.generations == 2


async def test_typing_something_else_ends_it(make_desk):
    desk = await offering_desk(make_desk)
    desk.gate.clear()
    desk.completer.edited(URI, 2, accepted().document.text)
    other = request(CODE.replace("█", "x = █"), version=3)
    desk.completer.edited(URI, 3, other.document.text)
    asked = asyncio.create_task(desk.complete(other))
    await asyncio.sleep(0)
    _, cancel = desk.worker.asked[1]
    assert cancel.cancelled
    desk.gate.set()
    assert await asked is not None


async def test_an_acceptance_told_late_does_not_disturb(make_desk):
    desk = await offering_desk(make_desk)
    for version, typed in ((2, "x"), (3, "xy")):
        desk.completer.edited(URI, version, CODE.replace("█", typed))
    desk.completer.accepted(URI)
    await desk.rest()
    assert desk.generations == 1


@pytest.mark.parametrize("completion", [{"prefetch": False}, {"automatic": False}])
async def test_prefetch_can_be_turned_off(make_desk, completion):
    desk = await make_desk(completion=completion)
    await desk.complete(evolve(request(CODE), trigger=Trigger.INVOKED))
    desk.completer.edited(URI, 2, request(CODE.replace("█", "return 1█")).document.text)
    await desk.rest()
    assert desk.generations == 1


async def test_an_accepted_suggestion_of_several_lines_is_recognised_in_a_document_with_crlf(make_desk):
    said = "if x:\n        return 1"
    desk = await make_desk(lambda prompt: "\n" if "return 1" in prompt else said)
    marked = CODE.replace("\n", "\r\n")
    await desk.complete(request(marked, trigger=Trigger.INVOKED))
    after = request(marked.replace("█", "if x:\r\n        return 1█"), version=2)
    desk.completer.edited(URI, 2, after.document.text)
    await desk.rest()
    assert desk.generations == 2


async def test_all_prompts_of_a_plan_are_evaluated(make_desk):
    desk = await make_desk()
    evaluated: list[PlannedPrefill] = []
    plan = [PlannedPrefill(Prompt((), text)) for text in ("one", "two", "three")]
    idle = IdlePrefill(desk.worker, pause_s=0)
    idle.start(PrefillOrder(lambda: plan, evaluated.append))
    while idle.busy:
        await asyncio.sleep(0.001)
    assert evaluated == plan
