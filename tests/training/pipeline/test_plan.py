from __future__ import annotations

import pytest

from training.pipeline.plan import PlanError, RunPlan, make_plan

GB = 1_000_000_000


def test_a_plan_adds_up_to_what_is_left() -> None:
    plan = make_plan(20, 60, 2.5, tried=8, available=200, base_bytes=145_000_000)
    assert plan.train_seconds + plan.export_seconds + plan.evaluate_seconds == pytest.approx(1140)
    assert plan.holes == 57
    assert plan.evaluate_seconds == (2 * 57 - 8) * 2.5
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


def test_a_plan_is_one_line_of_text() -> None:
    text = str(RunPlan(20, 695, 40, 248, 51))
    assert text == "11:35 for training, 0:40 for exporting, 4:08 for evaluating 51 held-out holes"


def test_too_few_minutes_name_the_minutes_needed() -> None:
    with pytest.raises(
        PlanError, match=r"5 minutes are too few: preparing took 2:00.*--minutes (\d+)"
    ) as caught:
        make_plan(5, 120, 5.0, tried=8, available=200, base_bytes=GB // 10)
    enough = float(str(caught.value).partition("--minutes ")[2].split()[0])
    assert make_plan(enough, 120, 5.0, tried=8, available=200, base_bytes=GB // 10).train_seconds >= 30
