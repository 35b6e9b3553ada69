"""The thread count follows the machine's load, and does not swing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fim_lsp.engine.thread_control import ThreadControl, steps

QUIET = {8: 10.0, 4: 14.0, 2: 22.0, 1: 40.0}
BUSY = {8: 160.0, 4: 90.0, 2: 60.0, 1: 45.0}
"""Milliseconds a token by thread count, shaped after what was measured beside a build."""


def follow(control: ThreadControl, time_of: Callable[[int], float], decodes: int) -> Iterator[ThreadControl]:
    """Yield the state after each decode, which takes as long as the machine needs with so many threads."""
    for _ in range(decodes):
        control = control.after(time_of(control.threads))
        yield control


def last(states: Iterable[ThreadControl]) -> ThreadControl:
    *_, state = states
    return state


def changes(states: Iterable[ThreadControl]) -> int:
    return sum(before.threads != after.threads for before, after in itertools.pairwise(states))


def test_each_step_halves_the_threads():
    assert [steps(most) for most in (1, 2, 3, 7, 8)] == [(1,), (2, 1), (3, 1), (7, 3, 1), (8, 4, 2, 1)]


def test_contention_leads_to_fewer_threads_and_quiet_back_to_all():
    quiet = last(follow(ThreadControl(8), QUIET.__getitem__, 100))
    assert quiet.threads == 8
    busy = last(follow(quiet, BUSY.__getitem__, 100))
    assert busy.threads == 2  # one thread would be faster by a quarter: not worth a trial
    again = last(follow(busy, QUIET.__getitem__, 1000))
    assert again.threads == 8


def test_a_machine_that_stays_busy_gets_few_trials():
    busy = last(follow(last(follow(ThreadControl(8), QUIET.__getitem__, 100)), BUSY.__getitem__, 100))
    states = list(follow(busy, BUSY.__getitem__, 10_000))
    assert sum(control.threads > 2 for control in states) < 100
    assert states[-1].threads <= 2


@settings(deadline=None, max_examples=40)
@given(noise=st.lists(st.floats(0.75, 1.3), min_size=1, max_size=40), most=st.integers(1, 64))
def test_noise_alone_changes_nothing(noise: list[float], most: int):
    factors = itertools.cycle(noise)
    assert all(
        control.threads == most for control in follow(ThreadControl(most), lambda _: 20 * next(factors), 600)
    )


@settings(deadline=None, max_examples=40)
@given(spikes=st.sets(st.integers(0, 119), max_size=5), factor=st.floats(2, 100))
def test_a_few_slow_tokens_change_nothing(spikes: set[int], factor: float):
    control = last(follow(ThreadControl(4), lambda _: 20, 48))
    for decode in range(120):
        control = control.after(20 * factor if decode in spikes else 20)
        assert control.threads == 4


@settings(deadline=None, max_examples=40)
@given(
    most=st.integers(2, 64),
    times=st.lists(st.floats(0.1, 1000), min_size=1, max_size=60),
    by_threads=st.booleans(),
)
def test_whatever_the_times_it_does_not_swing(most: int, times: list[float], by_threads: bool):
    def runs() -> Iterator[float]:
        """Yield each time twelve times, because loads last a while."""
        for time in itertools.cycle(times):
            yield from itertools.repeat(time, 12)

    remaining = runs()

    def time_of(threads: int) -> float:
        return next(remaining) * (threads if by_threads else 1)

    decodes = 6000
    states = list(follow(ThreadControl(most), time_of, decodes))
    assert {control.threads for control in states} <= set(steps(most))
    # 500 observations; patience grows from 8 to 128 and is reset after 256 without a change. If a trial that
    # was undone could be followed by the opposite one at once, there would be hundreds of changes.
    assert changes(states) <= 40


@settings(deadline=None, max_examples=40)
@given(
    environment=st.lists(st.floats(1, 100), min_size=4, max_size=4),
    noise=st.lists(st.floats(0.95, 1.05), min_size=1, max_size=30),
)
def test_in_a_steady_environment_it_settles(environment: list[float], noise: list[float]):
    factors = itertools.cycle(noise)
    given_by = dict(zip((8, 4, 2, 1), environment, strict=True))
    began = last(follow(ThreadControl(8), lambda _: 1.0, 24))
    control = last(follow(began, lambda threads: given_by[threads] * next(factors), 4000))
    settled = list(follow(control, lambda threads: given_by[threads] * next(factors), 4000))
    # Trials of more or of fewer threads become ever rarer and last five decodes.
    assert changes([control, *settled]) <= 24


@pytest.mark.parametrize("most", [1, 2])
def test_one_thread_is_the_least(most: int):
    assert last(follow(ThreadControl(most), lambda _: 1, 24)).threads == most
    slower = itertools.count(1)
    assert {control.threads for control in follow(ThreadControl(most), lambda _: next(slower), 500)} <= {
        1,
        most,
    }
