from __future__ import annotations

from typing import Any

import pytest

from training.pipeline.verdict import compare_with_base


def report(nll: tuple[float, float], edit: tuple[float, float] | None) -> dict[str, Any]:
    """Provide a report whose paired differences have these intervals."""

    def change(interval: tuple[float, float] | None) -> dict[str, float | None]:
        low, high = interval or (None, None)
        return {"value": None if low is None else (low + high) / 2, "low": low, "high": high}

    arm = {"middle_nll": {"value": 1.5}, "edit_similarity": {"value": 50.0}, "n": 60}
    return {
        "metrics": {"middle_nll": {"more_is_better": False}, "edit_similarity": {"more_is_better": True}},
        "arms": {"base": arm, "tuned": arm},
        "paired": {"tuned - base": {"middle_nll": change(nll), "edit_similarity": change(edit)}},
    }


@pytest.mark.parametrize(
    ("nll", "edit", "outcome", "phrase"),
    [
        ((-0.4, -0.2), (-1.0, 5.0), "better", "is better than its base on 60 holes"),
        ((-0.1, 0.1), (1.0, 5.0), "better", "edit similarity 50.0 against 50.0 (+3.0, 95% interval"),
        ((0.2, 0.4), (-1.0, 5.0), "worse", "is worse than its base on 60 holes"),
        ((-0.1, 0.1), (-5.0, -1.0), "worse", "is worse than its base"),
        ((-0.1, 0.3), (-1.0, 5.0), "no different", "no different from its base, within the intervals,"),
        ((-0.4, -0.2), (-5.0, -1.0), "mixed", "better than its base in one figure and worse in another"),
        ((-0.4, -0.2), None, "better", "(-0.300, 95% interval -0.400 to -0.200)."),
    ],
)
def test_a_verdict_counts_what_is_beyond_the_interval(
    nll: tuple[float, float], edit: tuple[float, float] | None, outcome: str, phrase: str
) -> None:
    verdict = compare_with_base(report(nll, edit))
    assert verdict.outcome == outcome
    assert phrase in verdict.text
