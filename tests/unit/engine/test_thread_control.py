"""The thread count follows the machine's load, and does not swing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fim_lsp.engine.thread_control import Pace, steps

QUIET = {8: 10.0, 4: 14.0, 2: 22.0, 1: 40.0}
BUSY = {8: 160.0, 4: 90.0, 2: 60.0, 1: 45.0}
"""Milliseconds a token by thread count, shaped after what was measured beside a build."""


def follow(pace: Pace, time_of: Callable[[int], float], decodes: int) -> Iterator[Pace]:
    """The pace after each decode, where each takes what the machine gives so many threads."""
    for _ in range(decodes):
        pace = pace.after(time_of(pace.threads))
        yield pace


def last(paces: Iterable[Pace]) -> Pace:
    *_, pace = paces
    return pace


def changes(paces: Iterable[Pace]) -> int:
    return sum(one.threads != other.threads for one, other in itertools.pairwise(paces))


def test_each_step_halves_the_threads():
    assert [steps(most) for most in (1, 2, 3, 7, 8)] == [(1,), (2, 1), (3, 1), (7, 3, 1), (8, 4, 2, 1)]


def test_contention_leads_to_fewer_threads_and_quiet_back_to_all():
    quiet = last(follow(Pace(8), QUIET.__getitem__, 100))
    assert quiet.threads == 8
    busy = last(follow(quiet, BUSY.__getitem__, 100))
    assert busy.threads == 2  # one thread would be faster by a quarter: not worth a trial
    again = last(follow(busy, QUIET.__getitem__, 1000))
    assert again.threads == 8


def test_a_machine_that_stays_busy_is_seldom_bothered():
    busy = last(follow(last(follow(Pace(8), QUIET.__getitem__, 100)), BUSY.__getitem__, 100))
    paces = list(follow(busy, BUSY.__getitem__, 10_000))
    assert sum(pace.threads > 2 for pace in paces) < 100
    assert paces[-1].threads <= 2


@settings(deadline=None, max_examples=40)
@given(noise=st.lists(st.floats(0.75, 1.3), min_size=1, max_size=40), most=st.integers(1, 64))
def test_noise_alone_changes_nothing(noise: list[float], most: int):
    factors = itertools.cycle(noise)
    assert all(pace.threads == most for pace in follow(Pace(most), lambda _: 20 * next(factors), 600))


@settings(deadline=None, max_examples=40)
@given(spikes=st.sets(st.integers(0, 119), max_size=5), factor=st.floats(2, 100))
def test_a_few_slow_tokens_change_nothing(spikes: set[int], factor: float):
    pace = last(follow(Pace(4), lambda _: 20, 48))
    for at in range(120):
        pace = pace.after(20 * factor if at in spikes else 20)
        assert pace.threads == 4


@settings(deadline=None, max_examples=40)
@given(
    most=st.integers(2, 64),
    times=st.lists(st.floats(0.1, 1000), min_size=1, max_size=60),
    by_threads=st.booleans(),
)
def test_whatever_the_times_it_does_not_swing(most: int, times: list[float], by_threads: bool):
    def runs() -> Iterator[float]:
        """Each time for a while, as loads last."""
        for time in itertools.cycle(times):
            yield from itertools.repeat(time, 12)

    left = runs()

    def time_of(threads: int) -> float:
        return next(left) * (threads if by_threads else 1)

    decodes = 6000
    paces = list(follow(Pace(most), time_of, decodes))
    assert {pace.threads for pace in paces} <= set(steps(most))
    # 500 observations; patience grows from 8 to 128 and is forgiven after 256 without a change. Where a trial
    # that was taken back could be followed by the opposite one at once, this would be hundreds.
    assert changes(paces) <= 40


@settings(deadline=None, max_examples=40)
@given(
    environment=st.lists(st.floats(1, 100), min_size=4, max_size=4),
    noise=st.lists(st.floats(0.95, 1.05), min_size=1, max_size=30),
)
def test_in_a_steady_environment_it_settles(environment: list[float], noise: list[float]):
    factors = itertools.cycle(noise)
    given_by = dict(zip((8, 4, 2, 1), environment, strict=True))
    began = last(follow(Pace(8), lambda _: 1.0, 24))
    pace = last(follow(began, lambda threads: given_by[threads] * next(factors), 4000))
    settled = list(follow(pace, lambda threads: given_by[threads] * next(factors), 4000))
    # Trials of more, or of fewer, come ever more seldom and last five decodes.
    assert changes([pace, *settled]) <= 24


@pytest.mark.parametrize("most", [1, 2])
def test_one_thread_is_the_least(most: int):
    assert last(follow(Pace(most), lambda _: 1, 24)).threads == most
    slower = itertools.count(1)
    assert {pace.threads for pace in follow(Pace(most), lambda _: next(slower), 500)} <= {1, most}
