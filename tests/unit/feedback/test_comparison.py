from __future__ import annotations

import numpy as np
import pytest

from fim_lsp.feedback.comparison import (
    FEWEST_BUCKETS,
    MEASURES,
    compare_arms,
    difference,
    experiments,
    rate,
)
from fim_lsp.feedback.events import SuggestionOrigin
from fim_lsp.feedback.observation import SuggestionOutcome
from fim_lsp.feedback.store import SuggestionRecord

ACCEPTANCE = MEASURES[0]
EXPERIMENTS, DAYS = 400, 60


def record(
    arm: str, bucket: int, *, accepted: bool, shown_ms: float = 1000, latency_ms: float = 100, at: int = 0
):
    origin = SuggestionOrigin("0.1", "tiny", "", "python", arm, bucket)
    outcome = SuggestionOutcome("accepted" if accepted else "rejected", shown_ms, 10, 0, 10 * accepted)
    return SuggestionRecord(f"{arm}{bucket}", at, origin, outcome, latency_ms)


def simulate(rng: np.random.Generator, second_more: float = 0.0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the sums of both arms, day by day, for a developer whose documents differ much.

    A document has an acceptance rate of its own (0.3 in the mean, 0.14 standard deviation), and is worked on
    for some days; each day begins three documents an arm, so that there are 30 buckets after ten days.
    """
    rates = [rng.beta(3, 7, size=(3 * DAYS,)), np.clip(rng.beta(3, 7, size=(3 * DAYS,)) + second_more, 0, 1)]
    sums = [np.zeros((3 * DAYS, 2)), np.zeros((3 * DAYS, 2))]
    looks = []
    for day in range(DAYS):
        for arm in (0, 1):
            open_now = slice(max(0, 3 * day - 6), 3 * day + 3)
            seen = rng.poisson(8, size=rates[arm][open_now].shape)
            sums[arm][open_now, 0] += rng.binomial(seen, rates[arm][open_now])
            sums[arm][open_now, 1] += seen
        looks.append((sums[0].copy(), sums[1].copy()))
    return looks


def common_test(first: np.ndarray, second: np.ndarray) -> bool:
    """Tell what a z-test of two proportions says, at 5%."""
    (a, n), (b, m) = first.sum(axis=0), second.sum(axis=0)
    pooled = (a + b) / (n + m)
    deviation = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return bool(abs(a / n - b / m) > 1.96 * deviation)


@pytest.fixture(scope="module")
def alarms() -> tuple[float, float]:
    """Return how often each test ever cries wolf in 60 daily looks: ours and a common one."""
    rng = np.random.default_rng(20260101)
    ours = common = 0
    for _ in range(EXPERIMENTS):
        looks = simulate(rng)
        ours += any(difference(ACCEPTANCE, *look).decided for look in looks)
        common += any(common_test(*look) for look in looks[9:])
    return ours / EXPERIMENTS, common / EXPERIMENTS


def test_looking_every_day_cries_wolf_in_fewer_than_one_experiment_of_twenty(alarms):
    assert alarms[0] <= 0.05


def test_a_common_test_would_cry_wolf_often(alarms):
    # Otherwise the simulation would show nothing.
    assert alarms[1] > 0.3


def test_a_real_difference_is_found():
    rng = np.random.default_rng(7)
    found = [any(difference(ACCEPTANCE, *look).decided for look in simulate(rng, 0.15)) for _ in range(40)]
    assert np.mean(found) > 0.9


def test_the_interval_holds_the_difference_at_all_times():
    rng = np.random.default_rng(12)
    missed = 0
    for _ in range(100):
        each = [difference(ACCEPTANCE, *look) for look in simulate(rng, 0.1)]
        # A rate of nearly 1 can't rise by 0.1, but that is rare: 0.09999 in the mean.
        missed += any(found.low is not None and not found.low <= 0.1 <= found.high for found in each)
    assert missed <= 5


def test_documents_count_rather_than_suggestions():
    """A hundred acceptances in one document are no better evidence than one."""
    alike = np.array([[100.0, 100.0]] + [[0.0, 1.0]] * 40)
    spread = np.array([[1.0, 1.0]] * 20 + [[0.0, 1.0]] * 21)
    assert rate(alike).variance > 5 * rate(spread).variance


def test_with_few_documents_there_is_no_verdict():
    few = np.ones((FEWEST_BUCKETS - 1, 2))
    many = np.tile([[0.0, 1.0], [1.0, 1.0]], (FEWEST_BUCKETS, 1))
    found = difference(ACCEPTANCE, few, many)
    assert (found.p_value, found.decided) == (None, False)
    assert found.first.value == 1.0


@pytest.mark.parametrize("sums", [np.zeros((0, 2)), np.zeros((3, 2))])
def test_nothing_counted_has_no_rate(sums):
    assert rate(sums) is None


def test_records_are_added_up_by_arm_and_bucket():
    records = [
        record("old/a", 1, accepted=True, at=1),
        *(record("style/plain", bucket, accepted=bucket % 4 == 0, at=2) for bucket in range(40)),
        *(
            record("style/tuned", bucket, accepted=bucket % 2 == 0, latency_ms=150, at=3)
            for bucket in range(40)
        ),
        record("style/tuned", 99, accepted=False, shown_ms=100, latency_ms=150, at=3),
        record("", 0, accepted=True, at=9),
    ]
    assert experiments(records) == ("old", "style")
    assert compare_arms(records, "old") is None
    comparison = compare_arms(records, "style")
    acceptance, kept, latency = comparison.differences
    assert (acceptance.first.value, acceptance.second.value) == (0.25, 0.5)
    assert acceptance.second.count == 40
    assert kept.first is None
    assert (latency.first.value, latency.second.value) == (100, 150)
    assert comparison.latency_ms == ((100, 100), (150, 150))


def test_a_large_difference_in_latency_needs_no_noise():
    records = [
        record(f"fast/{arm}", bucket, accepted=True, latency_ms=ms + bucket % 7)
        for arm, ms in (("local", 80), ("remote", 300))
        for bucket in range(40)
    ]
    latency = compare_arms(records, "fast").differences[2]
    assert latency.decided
    assert latency.low < 220 < latency.high
