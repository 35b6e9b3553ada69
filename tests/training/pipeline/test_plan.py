from __future__ import annotations

from typing import Any

import pytest

from training.pipeline.plan import Plan, PlanError, make_plan
from training.pipeline.verdict import judge
from training.train.processes import Workers, plan_workers
from training.train.schedule import is_due

GB = 1_000_000_000


def test_a_plan_adds_up_to_what_is_left() -> None:
    plan = make_plan(20, 60, 2.5, tried=8, available=200, base_bytes=145_000_000)
    assert plan.train_seconds + plan.export_seconds + plan.judge_seconds == pytest.approx(1140)
    assert plan.holes == 57
    assert plan.judge_seconds == (2 * 57 - 8) * 2.5
    assert plan.train_seconds > 0.65 * 1140


def test_cheap_holes_are_many_and_dear_ones_no_fewer_than_tell_anything() -> None:
    assert make_plan(20, 60, 0.5, tried=8, available=500, base_bytes=GB // 10).holes == 200
    assert make_plan(60, 600, 15.0, tried=8, available=500, base_bytes=GB // 10).holes == 40
    assert make_plan(20, 60, 0.5, tried=8, available=12, base_bytes=GB // 10).holes == 12


def test_longer_runs_spend_the_time_on_training() -> None:
    plans = [make_plan(minutes, 60, 4.0, 8, 200, GB // 10) for minutes in (10, 20, 60, 240)]
    assert [plan.holes for plan in plans] == [40, 40, 110, 200]
    shares = [plan.train_seconds / (plan.minutes * 60) for plan in plans]
    assert shares == sorted(shares)


def test_a_plan_is_told_in_a_line() -> None:
    told = str(Plan(20, 695, 40, 248, 51))
    assert told == "11:35 for training, 0:40 for exporting, 4:08 for judging it by 51 held-out holes"


def test_minutes_that_do_not_suffice_say_how_many_do() -> None:
    with pytest.raises(PlanError, match=r"5 minutes are too few: 2:00 went.*--minutes (\d+)") as caught:
        make_plan(5, 120, 5.0, tried=8, available=200, base_bytes=GB // 10)
    enough = float(str(caught.value).partition("--minutes ")[2].split()[0])
    assert make_plan(enough, 120, 5.0, tried=8, available=200, base_bytes=GB // 10).train_seconds >= 30


@pytest.mark.parametrize(
    ("cores", "memory", "base", "most", "expected"),
    [
        (2, 16 * GB, GB // 10, None, Workers(2, 1)),
        (8, 64 * GB, GB // 10, None, Workers(4, 2)),
        (8, 64 * GB, GB // 10, 1, Workers(1, 8)),
        (8, 9 * GB, GB, None, Workers(1, 8)),
        (1, 2 * GB, GB, None, Workers(1, 1)),
    ],
)
def test_processes_have_a_core_rows_and_memory_each(
    cores: int, memory: int, base: int, most: int | None, expected: Workers
) -> None:
    assert plan_workers(cores, memory, base, batch_rows=16, most=most) == expected


def test_what_is_spread_over_a_run_happens_so_often() -> None:
    shares = [step / 50 for step in range(51)]
    steps = [
        step for step in range(1, 51) if is_due(step, shares[step - 1], shares[step], every=1000, times=5)
    ]
    assert steps == [10, 20, 30, 40, 50]
    assert [step for step in range(1, 51) if is_due(step, 0, 0, every=20, times=None)] == [20, 40]


def report(nll: tuple[float, float], edit: tuple[float, float] | None) -> dict[str, Any]:
    """A report whose paired differences have these intervals."""

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
    ("nll", "edit", "outcome", "said"),
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
    nll: tuple[float, float], edit: tuple[float, float] | None, outcome: str, said: str
) -> None:
    verdict = judge(report(nll, edit))
    assert verdict.outcome == outcome
    assert said in verdict.text
