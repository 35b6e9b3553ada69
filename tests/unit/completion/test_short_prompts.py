"""A short prompt answers first where the whole one would take too long. A token is a byte."""

from __future__ import annotations

import pytest
from attrs import evolve

from fim_lsp.completion.prompts import Prompts
from fim_lsp.engine.prefill_speed import PrefillSpeed
from fim_lsp.engine.scripted import ScriptedEngine
from fim_lsp.prompt.anchor import next_anchor
from fim_lsp.prompt.templates import ChosenTemplate, find_template
from fim_lsp.settings import SHORTEST_PROMPT, Settings
from tests.unit.completion.conftest import URI
from tests.unit.completion.test_idle_prefill import SUFFIX_FIRST, UNHEALED, at_line

PSM = {"name": "x", "template": "qwen"}
SPEED = 400.0
"""Tokens a second: with the default of 400 ms a short prompt has 160 of them."""
SHORT = 160


async def slow_desk(make_desk, tokens_per_s: float = SPEED, **wire):
    """Return a desk whose engine was measured at load."""
    desk = await make_desk(pause_s=0, loaded=False, **{"prompt": UNHEALED, **wire})
    info = evolve(desk.engine.info, prefill_tokens_per_s=tokens_per_s)
    desk.engine = evolve(desk.engine, info=info)
    desk.worker._factory = lambda *_: desk.engine
    await desk.worker.load(desk.settings.model, lambda _: None)
    desk.completer.model_changed(desk.engine, desk.settings)
    return desk


def stop_after(desk, tokens: int) -> None:
    """End what is evaluated in the next pause after so many tokens."""
    left = iter(range(tokens))
    desk.at_token[:] = [lambda: next(left, None) is None and desk.completer.stop()]


@pytest.mark.parametrize("model", [SUFFIX_FIRST, PSM])
async def test_the_first_prompt_at_a_new_place_is_short_and_the_next_one_is_whole(make_desk, model):
    desk = await slow_desk(make_desk, model=model)
    assert SHORT / 3 < await desk.cost(at_line(20)) <= SHORT
    assert desk.explanation.length.startswith("160 of 1024 tokens")
    assert sum(part.tokens for part in desk.explanation.parts) <= SHORT
    await desk.rest()
    assert await desk.cost(at_line(20, "x", version=2)) <= 3
    assert not desk.explanation.length
    assert sum(part.tokens for part in desk.explanation.parts) > 600


async def test_typing_on_before_there_was_time_stays_on_the_short_prompt(make_desk):
    desk = await slow_desk(make_desk, model=SUFFIX_FIRST)
    await desk.cost(at_line(20))
    desk.completer.stop()
    assert await desk.cost(at_line(20, "x", version=2)) <= 2
    assert desk.explanation.length


async def test_a_long_prompt_that_was_interrupted_goes_on_where_it_stopped(make_desk):
    desk = await slow_desk(make_desk, model=SUFFIX_FIRST)
    await desk.cost(at_line(20))
    stop_after(desk, 400)
    spent = len(desk.evaluated)
    await desk.rest()
    assert len(desk.evaluated) - spent <= 402
    desk.at_token.clear()
    # A bracket that the editor closes is no other suffix.
    text = at_line(20, "(").document.text
    closed = evolve(at_line(20, "(", version=2), document=evolve(at_line(20).document, version=2, text=text))
    assert await desk.cost(closed) <= 2
    spent = len(desk.evaluated)
    await desk.rest()
    whole = sum(len(line) for line in at_line(20).document.text)
    assert len(desk.evaluated) - spent < whole - 300
    await desk.cost(at_line(20, "(x", version=3))
    assert not desk.explanation.length


async def test_a_place_that_was_evaluated_before_has_its_whole_prompt(make_desk):
    desk = await slow_desk(make_desk, model=SUFFIX_FIRST)
    for line in (5, 30, 5):
        await desk.cost(at_line(line))
        await desk.rest()
    assert await desk.cost(at_line(5, "x", version=2)) <= 2
    assert not desk.explanation.length


@pytest.mark.parametrize(
    ("speed", "prompt"),
    [
        pytest.param(SPEED, {"coldMs": None}, id="no limit"),
        pytest.param(0.0, {}, id="a GPU"),
        pytest.param(1e5, {}, id="a fast machine"),
        pytest.param(SPEED, {"layout": "plain"}, id="each key evaluates the suffix"),
    ],
)
async def test_the_first_prompt_is_whole_where_nothing_is_gained(make_desk, speed, prompt):
    desk = await slow_desk(make_desk, speed, model=PSM, prompt={**UNHEALED, **prompt})
    assert await desk.cost(at_line(20)) > 600
    assert not desk.explanation.length


async def test_a_slow_machine_still_shows_the_lines_around_the_cursor(make_desk):
    desk = await slow_desk(make_desk, 10.0, model=SUFFIX_FIRST)
    assert 8 <= await desk.cost(at_line(20)) <= SHORTEST_PROMPT


@pytest.mark.parametrize("model", [SUFFIX_FIRST, PSM])
async def test_on_a_slow_machine_a_pause_is_enough_for_a_prompt_in_between(make_desk, model):
    desk = await slow_desk(make_desk, 40.0, model=model)
    await desk.cost(at_line(20))
    assert desk.explanation.length.startswith("16 of 1024 tokens")
    # What was evaluated of a prompt by then is kept, so the second pause ends the one in between.
    pauses = ((60, "16 of 1024 tokens"), (100, "128 of 1024 tokens"), (500, "128 of 1024 tokens"), (700, ""))
    for version, (tokens, length) in enumerate(pauses, start=2):
        stop_after(desk, tokens)
        await desk.rest()
        assert await desk.cost(at_line(20, "x" * version, version=version)) <= 2
        assert desk.explanation.length.startswith(length)
    assert not desk.explanation.length


async def test_the_whole_prompt_is_evaluated_where_few_tokens_are_missing(make_desk):
    desk = await slow_desk(make_desk, model=SUFFIX_FIRST)
    await desk.cost(at_line(20))
    await desk.rest()
    await desk.cost(at_line(20, "y = 2\n" * 20, version=2))
    assert not desk.explanation.length


@pytest.mark.parametrize("model", [SUFFIX_FIRST, PSM])
async def test_where_the_cursor_rests_the_short_prompt_comes_first(make_desk, model):
    desk = await slow_desk(make_desk, model=model)
    await desk.cost(at_line(5))
    await desk.rest()
    stop_after(desk, SHORT)
    desk.completer.cursor_rested(at_line(30), desk.settings)
    await desk.rest()
    desk.at_token.clear()
    assert await desk.cost(at_line(30, version=2)) <= 20
    desk.completer.cursor_rested(at_line(12), desk.settings)
    await desk.rest()
    assert await desk.cost(at_line(12, version=3)) <= 2
    assert not desk.explanation.length


def test_the_measured_speed_follows_long_prefills_and_not_short_ones():
    speed = PrefillSpeed(300.0)
    assert speed.after(2, 100.0) == speed
    assert speed.after(64, 0.0) == speed
    slower = speed
    for _ in range(20):
        slower = slower.after(256, 2560.0)
    assert 100 <= slower.tokens_per_s < 101
    assert slower.tokens_within(400.0) == 40
    assert PrefillSpeed().after(256, 100.0).tokens_within(400.0) is None
    assert speed.tokens_within(None) is None


@pytest.mark.parametrize("model", [SUFFIX_FIRST, PSM])
async def test_the_window_of_a_short_prompt_stays_while_the_user_types(make_desk, model):
    """Without a pause, so that no long prompt takes its place."""
    desk = await slow_desk(make_desk, model=model)
    typed = "name = value.other"
    costs = []
    for count in range(len(typed) + 1):
        costs.append(await desk.cost(at_line(20, typed[:count], version=count + 1)))
        desk.completer.stop()
    assert desk.explanation.length
    assert max(costs[1:]) <= 2


async def test_much_text_typed_without_a_pause_makes_the_window_move(make_desk):
    desk = await slow_desk(make_desk, model=SUFFIX_FIRST)
    sizes = []
    for count in range(0, 600, 20):
        await desk.cost(at_line(20, ("name = value.other\n" * 40)[:count], version=count + 1))
        desk.completer.stop()
        sizes.append(sum(part.tokens for part in desk.explanation.parts))
    assert max(sizes) <= 2 * SHORT


@pytest.mark.parametrize("model", [SUFFIX_FIRST, PSM])
@pytest.mark.parametrize("limited", [True, False])
async def test_at_the_top_of_a_document_the_typed_text_is_seen(make_desk, model, limited):
    desk = await slow_desk(make_desk, SPEED if limited else 0.0, model=model)
    await desk.cost(at_line(0))
    await desk.cost(at_line(0, "import os, sys", version=2))
    assert desk.explanation.parts[-1].text.endswith("import os, sys")


def test_a_new_line_typed_behind_a_long_one_keeps_the_anchor_of_a_short_prompt():
    """Most text at a new place begins with Enter at the end of a line."""
    qwen = find_template("qwen")
    prompts = Prompts(ScriptedEngine(lambda _: ""), ChosenTemplate(qwen, "settings", ""))
    long = "    value = something.other(first, second)"
    prompts.shortened(at_line(20, long), Settings(), 64)
    anchor = prompts.bases[URI].anchor
    typed = at_line(20, long + "\n    name =", version=2)
    assert next_anchor(anchor, typed, qwen, anchor.settings) is anchor
