"""When a middle would end too early or too late, over leads made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from training.end_bias import BIASES, balanced, mistakes


def at(bias: float) -> int:
    return int(np.searchsorted(BIASES, bias))


@pytest.mark.parametrize(
    ("leads", "bias", "early", "late"),
    [
        ([-3, -2, -1], 0, 0, 1),
        ([-3, -2, -1], 1.5, 0, 0),
        ([-3, -2, -1], 2.25, 1, 0),
        ([-3, 1, 1], 0, 1, 0),
        ([-3, 1, -1], 0, 1, 1),
        ([-0.5, -1], 1, 0, 1),  # the first token is not lifted
        ([-0.5, -1], 1.25, 0, 0),
    ],
)
def test_a_middle_ends_too_early_or_too_late(leads: list[float], bias: float, early: int, late: int) -> None:
    counts = mistakes(np.array(leads, np.float32))
    assert counts[:, at(bias)].tolist() == [early, late, 1]


@pytest.mark.parametrize("leads", [[1.0], [-1.0], [0.5, -2, 3]])
def test_a_middle_without_anything_said_tells_nothing(leads: list[float]) -> None:
    assert not mistakes(np.array(leads, np.float32)).any()


def test_the_bias_is_where_as_many_end_too_early_as_too_late() -> None:
    # Ends lack 0.1, 0.2 … nats; the likeliest other place to end lacks 2 more.
    middles = [np.array([-9, -2 - lack, -lack]) for lack in np.arange(1, 41) / 10]
    assert balanced(sum(mistakes(leads) for leads in middles)) == pytest.approx(3, abs=0.25)


def test_one_that_ends_in_time_needs_none_and_few_middles_say_nothing() -> None:
    in_time = mistakes(np.array([-9.0, -9, 1]))
    assert balanced(16 * in_time) == 0
    assert balanced(15 * in_time) is None


def test_one_that_never_ends_gets_the_most() -> None:
    assert balanced(20 * mistakes(np.array([-99.0, -99, -99]))) == BIASES[-1]
