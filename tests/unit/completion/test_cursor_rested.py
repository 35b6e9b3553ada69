"""The prompt where the cursor rests is evaluated before the first key, within bounds. A token is a byte."""

from __future__ import annotations

import asyncio
import time

import pytest

from fim_lsp.completion.cpu_spending import CpuSpending
from fim_lsp.engine.base import CancelToken
from tests.unit.completion.test_idle_prefill import SUFFIX_FIRST, UNHEALED, at_line


@pytest.mark.parametrize("model", [SUFFIX_FIRST, {"name": "x", "template": "qwen"}])
async def test_the_first_key_after_a_rest_costs_a_token_or_two(make_desk, model):
    desk = await make_desk(pause_s=0, model=model, prompt={**UNHEALED, "layout": "anchored"})
    await desk.cost(at_line(5))
    await desk.rest()
    desk.completer.cursor_rested(at_line(30), desk.settings)
    await desk.rest()
    assert await desk.cost(at_line(30, "x", version=2)) <= 2


async def test_where_the_cursor_rests_the_memory_is_prepared_too(make_desk):
    desk = await make_desk(pause_s=0, model=SUFFIX_FIRST, prompt=UNHEALED)
    prefill, prepared = desk.worker.prefill, []

    async def note_memory(prompt, cancel):
        prepared.append(prompt.memory)
        return await prefill(prompt, cancel)

    desk.worker.prefill = note_memory
    desk.completer.cursor_rested(at_line(30), desk.settings)
    await desk.rest()
    assert prepared[0].before.endswith(at_line(30).line_prefix)


async def test_without_a_notice_the_first_key_costs_the_prompt(make_desk):
    desk = await make_desk(pause_s=0, model=SUFFIX_FIRST, prompt=UNHEALED)
    await desk.cost(at_line(5))
    await desk.rest()
    assert await desk.cost(at_line(30, "x", version=2)) > 100


async def test_where_the_last_request_was_a_notice_starts_nothing(make_desk):
    desk = await make_desk(pause_s=0, model=SUFFIX_FIRST, prompt=UNHEALED)
    await desk.cost(at_line(5))
    await desk.rest()
    spent = len(desk.evaluated)
    desk.completer.cursor_rested(at_line(5), desk.settings)
    await desk.rest()
    assert len(desk.evaluated) == spent


@pytest.mark.parametrize(
    "wire",
    [
        {"prompt": {**UNHEALED, "cursorCpuSeconds": 0}},
        {"prompt": UNHEALED, "completion": {"enabled": False}},
        {"prompt": UNHEALED, "completion": {"disabledFiles": ["a.py"]}},
    ],
)
async def test_a_notice_does_nothing_where_it_is_switched_off(make_desk, wire):
    desk = await make_desk(pause_s=0, model=SUFFIX_FIRST, **wire)
    desk.completer.cursor_rested(at_line(30), desk.settings)
    await desk.rest()
    assert not desk.evaluated


async def test_a_request_ends_the_work_for_a_notice(make_desk):
    desk = await make_desk(pause_s=0, model=SUFFIX_FIRST, prompt=UNHEALED)
    desk.gate.clear()
    desk.completer.cursor_rested(at_line(30), desk.settings)
    while desk.worker.idle:
        await asyncio.sleep(0.001)
    asked = asyncio.create_task(desk.complete(at_line(5, version=2)))
    await asyncio.sleep(0)
    desk.gate.set()
    await asked
    timings = desk.explanation.timings
    # One token was waiting at the gate.
    assert len(desk.evaluated) <= 2 + timings.evaluated_tokens + timings.generated_tokens


async def rest_until(desk, count: int) -> CancelToken:
    """Let the cursor rest at line 30, and hold the engine once so many tokens were evaluated there.

    Returns the token of that prefill.
    """
    prefill, tokens = desk.worker.prefill, []

    async def note_token(prompt, cancel):
        tokens.append(cancel)
        return await prefill(prompt, cancel)

    held = len(desk.evaluated) + count
    desk.at_token.append(lambda: desk.gate.clear() if len(desk.evaluated) == held else None)
    desk.worker.prefill = note_token
    desk.completer.cursor_rested(at_line(30), desk.settings)
    while len(desk.evaluated) < held:
        await asyncio.sleep(0.001)
    return tokens[-1]


@pytest.mark.parametrize(
    ("line", "typed", "aborted"), [(30, "x", False), (30, "\n        ", False), (31, "", True), (5, "", True)]
)
async def test_a_key_where_the_cursor_rested_lets_the_batch_that_it_needs_end(
    make_desk, line, typed, aborted
):
    desk = await make_desk(pause_s=0, model=SUFFIX_FIRST, prompt=UNHEALED)
    token = await rest_until(desk, 3)
    asked = asyncio.create_task(desk.complete(at_line(line, typed, version=2)))
    await asyncio.sleep(0)
    assert token.cancelled
    assert bool(token.buffer.value) == aborted
    desk.gate.set()
    await asked


@pytest.mark.parametrize("then", ["another key", "cancelled by the client", "another place"])
async def test_a_batch_that_a_key_needs_is_aborted_by_another_place_alone(make_desk, then):
    desk = await make_desk(pause_s=0, model=SUFFIX_FIRST, prompt=UNHEALED)
    token = await rest_until(desk, 3)
    first = asyncio.create_task(desk.complete(at_line(30, "x", version=2)))
    await asyncio.sleep(0.01)
    if then == "cancelled by the client":
        first.cancel()
    place = at_line(5, version=3) if then == "another place" else at_line(30, "xy", version=3)
    second = asyncio.create_task(desk.complete(place))
    await asyncio.sleep(0.01)
    assert bool(token.buffer.value) == (then == "another place")
    desk.gate.set()
    await asyncio.gather(first, second, return_exceptions=True)


@pytest.mark.parametrize("model", [SUFFIX_FIRST, {"name": "x", "template": "qwen"}])
@pytest.mark.parametrize("typed", ["x", "\n        "])
async def test_a_key_goes_on_with_the_prompt_whose_batch_it_waited_for(make_desk, model, typed):
    desk = await make_desk(pause_s=0, model=model, prompt={**UNHEALED, "layout": "anchored"})
    await desk.cost(at_line(5))
    await desk.rest()
    await rest_until(desk, 250)
    asked = asyncio.create_task(desk.complete(at_line(30, typed, version=2)))
    await asyncio.sleep(0.01)
    desk.gate.set()
    await asked
    assert desk.explanation.timings.reused_tokens >= 250


async def test_a_new_notice_takes_the_place_of_the_one_before(make_desk):
    desk = await make_desk(pause_s=0, model=SUFFIX_FIRST, prompt=UNHEALED)
    for line in (10, 20, 30):
        desk.completer.cursor_rested(at_line(line), desk.settings)
    await desk.rest()
    spent = len(desk.evaluated)
    assert await desk.cost(at_line(30, "x", version=2)) <= 2
    assert spent < 1.5 * len("".join(at_line(30).document.text))


async def test_navigation_spends_no_more_than_its_cpu_time(make_desk):
    """Each token takes a millisecond at least, so that the limit is reached within the first places."""
    desk = await make_desk(pause_s=0, model=SUFFIX_FIRST, prompt={**UNHEALED, "cursorCpuSeconds": 0.05})
    desk.at_token.append(lambda: time.sleep(0.001))
    spent: list[int] = []
    for line in range(40):
        before = len(desk.evaluated)
        desk.completer.cursor_rested(at_line(line), desk.settings)
        await desk.rest()
        spent.append(len(desk.evaluated) - before)
    assert spent[0] > 0
    assert not any(spent[10:])


def test_spending_is_forgotten_after_a_minute():
    spending = CpuSpending().after(100.0, 6.0).after(130.0, 3.0)
    assert spending.left(130.0, 10.0) == 1.0
    assert spending.after(131.0, 5.0).left(131.0, 10.0) == 0.0
    assert spending.left(161.0, 10.0) == 7.0
    assert spending.left(191.0, 10.0) == 10.0
