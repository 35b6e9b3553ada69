from __future__ import annotations

import pytest

from training.train.schedule import TrainingBudget, is_due, learning_rate


def test_a_budget_ends_with_its_first_limit() -> None:
    both = TrainingBudget(tokens=1000, steps=10)
    assert both.share(100, 5) == 0.5
    assert both.share(900, 5) == 0.9
    assert both.share(2000, 1) == 1.0
    assert TrainingBudget(tokens=1000).share(250, 77) == 0.25


@pytest.mark.parametrize(("shape", "middle"), [("cosine", 0.5), ("linear", 0.5), ("constant", 1.0)])
def test_the_rate_rises_in_a_line_and_falls_by_its_shape(shape, middle: float) -> None:
    rate = [learning_rate(2.0, share, 0.1, shape) for share in (0.05, 0.1, 0.55, 1.0)]
    assert rate[:2] == [1.0, 2.0]
    assert rate[2] == pytest.approx(2.0 * middle)
    assert rate[3] == pytest.approx(2.0 if shape == "constant" else 0.0)


def test_without_warm_up_it_begins_at_the_peak() -> None:
    assert learning_rate(1.0, 0.0, 0.0, "cosine") == 1.0


def test_evaluations_are_spread_evenly_over_a_run() -> None:
    shares = [step / 50 for step in range(51)]
    steps = [
        step for step in range(1, 51) if is_due(step, shares[step - 1], shares[step], every=1000, times=5)
    ]
    assert steps == [10, 20, 30, 40, 50]
    assert [step for step in range(1, 51) if is_due(step, 0, 0, every=20, times=None)] == [20, 40]
