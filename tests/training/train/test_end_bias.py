"""Middles that end too early or too late, with leads written by hand."""

from __future__ import annotations

import numpy as np
import pytest

from training.train.end_bias import BIASES, choose_bias, count_wrong_ends


def index_of(bias: float) -> int:
    return int(np.searchsorted(BIASES, bias))


def lines(*leads: float) -> np.ndarray:
    """Return the counts of a middle in which the likeliest other token always begins a line."""
    return count_wrong_ends(np.array(leads, np.float32), np.full(len(leads), True))


@pytest.mark.parametrize(
    ("leads", "bias", "early", "late"),
    [
        ([-3, -2, -1], 0, 0, 1),
        ([-3, -2, -1], 1.5, 0, 0),
        ([-3, -2, -1], 2.25, 1, 0),
        ([-3, 1, 1], 0, 1, 0),
        ([-3, 1, -1], 0, 1, 1),
        ([5, -1], 1, 0, 1),  # the first token is not counted
        ([-0.5, -1], 1.25, 0, 0),
    ],
)
def test_a_middle_ends_too_early_or_too_late(leads: list[float], bias: float, early: int, late: int) -> None:
    assert lines(*leads)[:, index_of(bias)].tolist() == [early, late, 1]


def test_the_end_is_lifted_where_a_line_would_begin() -> None:
    leads = np.array([-3, -1, -1], np.float32)
    most = index_of(4)
    assert count_wrong_ends(leads, np.array([True, False, True]))[:, most].tolist() == [0, 0, 1]
    assert count_wrong_ends(leads, np.array([True, True, True]))[:, most].tolist() == [1, 0, 1]


def test_ends_that_the_bias_cannot_change_do_not_count() -> None:
    late, early = np.array([-3, -3, -1], np.float32), np.array([-3, 1, 1], np.float32)
    assert count_wrong_ends(late, np.array([True, True, False]))[:, 0].tolist() == [0, 0, 1]
    assert count_wrong_ends(early, np.array([True, False, True]))[:, 0].tolist() == [0, 0, 1]


def test_an_empty_middle_does_not_count() -> None:
    assert not lines(-1.0).any()


def test_the_bias_is_where_as_many_end_too_early_as_too_late() -> None:
    # The end token lacks 0.1, 0.2 … nats at the end, and 2 nats more at the place before.
    middles = [lines(-9, -2 - lack, -lack) for lack in np.arange(1, 41) / 10]
    assert choose_bias(sum(middles)) == pytest.approx(3, abs=0.25)


def test_a_model_that_ends_in_time_needs_no_bias_and_few_middles_give_none() -> None:
    in_time = lines(-9, -9, 1)
    assert choose_bias(32 * in_time) == 0
    assert choose_bias(31 * in_time) is None


def test_a_model_that_never_ends_gets_the_highest_bias() -> None:
    assert choose_bias(40 * lines(-99, -99, -99)) == BIASES[-1]
