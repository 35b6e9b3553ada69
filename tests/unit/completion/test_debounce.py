from __future__ import annotations

import asyncio

import pytest

from fim_lsp.completion.debounce import LatestWins, Rhythm, SupersededError, lost_ms
from fim_lsp.types import Prompt, Timings


def test_a_fast_engine_starts_at_once():
    rhythm = Rhythm()
    for _ in range(50):
        rhythm = rhythm.started(20)
    assert rhythm.delay_ms(0, 250) == 0
    assert rhythm.delay_ms(30, 250) == 30


def test_an_engine_about_as_fast_as_the_typist_waits_for_what_a_start_costs():
    rhythm = Rhythm(interval_ms=150)
    for _ in range(50):
        rhythm = rhythm.started(90)
    assert rhythm.delay_ms(0, 250) == pytest.approx(90, abs=1)


def test_a_prompt_that_grows_loses_a_token_and_another_all_of_it():
    timings = Timings(prefill_ms=3000, decode_ms=200, generated_tokens=10)
    assert lost_ms(Prompt((1, 2), "def f("), timings) == 20
    assert lost_ms(Prompt((1, 2), ""), timings) == 3000
    assert lost_ms(Prompt((1, 2), "def f("), Timings(prefill_ms=700)) == 0


def test_a_slow_engine_waits_for_the_typing_rhythm_and_no_longer():
    rhythm, now = Rhythm(), 0.0
    for _ in range(50):
        rhythm, now = rhythm.keystroke(now).started(2000), now + 100
    assert rhythm.delay_ms(0, 250) == pytest.approx(120, abs=5)


def test_after_a_wasted_start_the_burst_is_waited_out():
    rhythm, now = Rhythm(), 0.0
    for _ in range(50):
        rhythm, now = rhythm.keystroke(now).started(20), now + 100
    assert rhythm.delay_ms(0, 250) < 100
    wasted = rhythm.started(10, wasted=True)
    assert wasted.delay_ms(0, 250) == pytest.approx(120, abs=5)
    assert wasted.cost_ms == rhythm.cost_ms
    assert wasted.started(20).delay_ms(0, 250) < 100
    assert wasted.keystroke(now + 5000).delay_ms(0, 250) < 100


def test_an_aborted_start_can_only_make_starts_look_dearer():
    assert Rhythm(cost_ms=50).started(500, wasted=True).cost_ms > 50
    assert Rhythm(cost_ms=50).started(1, wasted=True).cost_ms == 50


def test_the_bounds_hold():
    assert Rhythm(cost_ms=5000, interval_ms=5000).delay_ms(0, 250) == 250
    assert Rhythm().delay_ms(30, 250) == 30


def test_a_pause_is_not_part_of_the_rhythm():
    rhythm = Rhythm(interval_ms=100).keystroke(0).keystroke(60_000)
    assert rhythm.interval_ms == 100


async def test_the_newest_turn_wins_and_the_older_stop_waiting():
    turns = LatestWins()
    older = turns.take("a")
    waiting = asyncio.create_task(older.sleep(10_000))
    await asyncio.sleep(0)
    newer = turns.take("a")
    with pytest.raises(SupersededError):
        await waiting
    await newer.sleep(0)


async def test_a_superseded_wait_leaves_the_future_alone():
    turns = LatestWins()
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(turns.take("a").result(future))
    await asyncio.sleep(0)
    turns.take("a")
    with pytest.raises(SupersededError):
        await waiting
    assert not future.cancelled()


async def test_a_released_turn_does_not_release_its_successor():
    turns = LatestWins()
    older = turns.take("a")
    newer = turns.take("a")
    turns.release("a", older)
    turns.take("a")
    with pytest.raises(SupersededError):
        await newer.sleep(0)
