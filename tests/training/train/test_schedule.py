from __future__ import annotations

import pytest

from training.train.schedule import Budget, learning_rate


def test_a_budget_ends_with_whatever_comes_first() -> None:
    both = Budget(tokens=1000, steps=10)
    assert both.share(100, 5) == 0.5
    assert both.share(900, 5) == 0.9
    assert both.share(2000, 1) == 1.0
    assert Budget(tokens=1000).share(250, 77) == 0.25


@pytest.mark.parametrize(("shape", "middle"), [("cosine", 0.5), ("linear", 0.5), ("constant", 1.0)])
def test_the_rate_rises_in_a_line_and_falls_by_its_shape(shape, middle: float) -> None:
    rate = [learning_rate(2.0, share, 0.1, shape) for share in (0.05, 0.1, 0.55, 1.0)]
    assert rate[:2] == [1.0, 2.0]
    assert rate[2] == pytest.approx(2.0 * middle)
    assert rate[3] == pytest.approx(2.0 if shape == "constant" else 0.0)


def test_without_warm_up_it_begins_at_the_peak() -> None:
    assert learning_rate(1.0, 0.0, 0.0, "cosine") == 1.0
