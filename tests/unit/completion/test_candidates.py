"""Several suggestions to choose from: who gets them, what they cost, and how each is accepted."""

from __future__ import annotations

import pytest
from attrs import evolve

from fim_lsp.code.cursor import CursorContext
from fim_lsp.completion.cache import Suggestion
from fim_lsp.completion.ranking import filter_suggestion, rank
from fim_lsp.settings import from_wire
from fim_lsp.types import CompletionRequest, Trigger
from tests.unit.completion.conftest import URI, Desk, request

CODE = "def f():\n    █\n\nprint(f())\n"
SAID = ("return 1", "yield 22", "assert 3", "x = 4")


def invoked(marked: str = CODE, **options: object) -> CompletionRequest:
    return request(marked, trigger=Trigger.INVOKED, **options)


async def choosing(make_desk, *said: str, **wire: object) -> Desk:
    """Provide a desk whose engine says the first, and knows the others."""
    first, *others = said or SAID
    desk = await make_desk(lambda prompt: "\n" if any(one in prompt for one in SAID) else first, **wire)
    desk.knows(*others)
    return desk


async def texts(desk: Desk, asked: CompletionRequest) -> list[str]:
    offered = await desk.complete(asked)
    return [one.text for one in (offered, *offered.alternatives)] if offered is not None else []


async def test_an_invoked_request_is_offered_three(make_desk):
    desk = await choosing(make_desk)
    assert await texts(desk, invoked()) == list(SAID[:3])
    assert desk.generations == 1
    assert desk.explanation.alternatives == SAID[1:3]
    assert desk.explanation.timings.decodes == 8


async def test_an_automatic_request_is_offered_one_and_pays_for_one(make_desk):
    desk = await choosing(make_desk)
    asked = request(CODE)
    assert await texts(desk, asked) == ["return 1"]
    timings = desk.explanation.timings
    assert len(desk.evaluated) == timings.evaluated_tokens + timings.generated_tokens
    assert desk.explanation.alternatives == ()


async def test_candidates_can_be_turned_off(make_desk):
    desk = await choosing(make_desk, completion={"candidates": 1, "debounceMaxMs": 0})
    assert await texts(desk, invoked()) == ["return 1"]
    timings = desk.explanation.timings
    assert len(desk.evaluated) == timings.evaluated_tokens + timings.generated_tokens


def test_equal_empty_and_doubtful_candidates_are_dropped_and_the_order_stays():
    said = [("return 1", 0.9), ("", 0.9), ("yield", 0.1), ("return 1", 0.8), ("pass", 0.5), ("\n\n", 0.9)]
    settings = from_wire({"completion": {"minConfidence": 0.3}})
    context = CursorContext.of(invoked())
    filtered = [filter_suggestion(Suggestion(*each), context, "", settings) for each in said]
    assert [each.completion.text for each in rank(filtered, context)] == ["return 1", "pass"]
    assert sum(bool(each.dropped_because) for each in filtered) == 3


async def test_what_would_break_the_code_comes_behind_what_would_not(make_desk):
    desk = await choosing(make_desk, "else: x = 4", "return 1", "for y in", "pass")
    assert await texts(desk, invoked()) == ["return 1", "else: x = 4", "for y in"]
    assert desk.explanation.generated == "return 1"


async def test_where_the_model_would_say_nothing_the_others_are_offered(make_desk):
    desk = await choosing(make_desk, "<|end|>", "yield 22")
    assert await texts(desk, invoked()) == ["yield 22"]
    assert desk.explanation.generated == "yield 22"


async def test_each_candidate_ends_by_its_own_stop_rule(make_desk):
    desk = await choosing(make_desk, "return 1\nmore = 2", "yield 22", "a = 3\na = 3\na = 3\nrest")
    assert await texts(desk, invoked()) == ["return 1", "yield 22", "a = 3"]
    assert desk.explanation.ended_by == "block_end"


async def test_asking_again_costs_nothing_and_a_keystroke_is_offered_one(make_desk):
    desk = await choosing(make_desk)
    await texts(desk, invoked())
    spent = len(desk.evaluated)
    assert await texts(desk, invoked(version=2)) == list(SAID[:3])
    assert await texts(desk, request(CODE, version=3)) == ["return 1"]
    assert await texts(desk, request(CODE.replace("█", "yie█"), version=4)) == ["ld 22"]
    assert len(desk.evaluated) == spent


@pytest.mark.parametrize("told", ["edit", "command", "command first", "both"])
@pytest.mark.parametrize("candidate", [0, 1, 2])
async def test_whichever_is_accepted_what_follows_it_is_prefetched(make_desk, told, candidate):
    desk = await choosing(make_desk)
    await texts(desk, invoked())
    after = request(CODE.replace("█", SAID[candidate] + "█"), version=2)
    if told.startswith("command"):
        desk.completer.accepted(URI, candidate)
    if told != "command":
        desk.completer.edited(URI, 2, after.document.text)
    if told == "both":
        desk.completer.accepted(URI, candidate)
    await desk.rest()
    assert desk.generations == 2
    assert SAID[candidate] in desk.prompts[-1]
    await desk.complete(after)
    assert desk.explanation.source == "cache"
    assert desk.generations == 2


async def test_a_candidate_that_was_not_offered_can_not_be_accepted(make_desk):
    desk = await choosing(make_desk)
    await texts(desk, request(CODE))
    desk.completer.accepted(URI, 2)
    await desk.rest()
    assert desk.generations == 1


async def test_typing_what_the_second_candidate_says_joins_it(make_desk):
    desk = await choosing(make_desk)
    typed = request(CODE.replace("█", "yi█"), version=2)
    offered = await desk.complete_after(invoked(), typed)
    assert offered is not None
    assert (offered.text, offered.alternatives) == ("eld 22", ())
    assert (desk.generations, desk.explanation.source) == (1, "joined")


def test_what_is_left_after_typing_is_of_those_that_begin_so():
    suggestion = Suggestion("return 1", alternatives=(Suggestion("repeat"), Suggestion("x")))
    left = suggestion.after("re")
    assert left is not None
    assert [one.text for one in left.all] == ["turn 1", "peat"]
    assert [one.text for one in suggestion.all] == ["return 1", "repeat", "x"]
    second = suggestion.after("rep")
    assert second == evolve(Suggestion("eat"))
    assert suggestion.after("return 1") is None
    assert suggestion.after("z") is None


async def test_what_was_said_before_is_a_draft_of_what_comes_next(make_desk):
    desk = await make_desk("return value")
    await desk.complete(request(CODE))
    assert desk.worker.asked[-1][0].draft == ""
    await desk.complete(request(CODE.replace("█", "x = █"), version=2))
    assert desk.generations == 2
    assert desk.worker.asked[-1][0].draft == "    return value"
