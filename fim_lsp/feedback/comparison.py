"""Compare the two arms of an experiment, so that one may look at any day. Pure.

Suggestions in one document are alike, so documents are what varies by chance: the figures of each bucket are
added up, and a rate is the ratio of two sums over buckets, with the variance of ratio estimators for clusters
(Cochran, Sampling Techniques, 1977, chapter 6).

Who looks every day and stops when a common test says "significant" is wrong far more often than that test
says. The mixture sequential probability ratio test may be looked at whenever one likes: under no difference,
the chance that it *ever* says so stays below ``ALPHA``. With a normal mixture of variance tau^2 over the
difference, a difference d with variance V has the ratio::

    sqrt(V / (V + tau^2)) exp(d^2 tau^2 / (2 V (V + tau^2)))

and the p-value is its inverse (Johari, Koomen, Pekelis and Walsh, Always Valid Inference: Continuous
Monitoring of A/B Tests, Operations Research 70(3), 2022, arXiv 1512.04922; after Robbins, 1970). The
intervals are the matching confidence sequence. V is estimated, so this holds for many buckets (Waudby-Smith
et al., arXiv 2103.06476); with few there is no verdict. tests/unit/feedback/test_comparison.py simulates the
false alarms.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from fim_lsp.feedback.persistence import MOSTLY
from fim_lsp.feedback.statistics import SEEN_MS
from fim_lsp.feedback.store import SuggestionRecord

ALPHA = 0.05
FEWEST_BUCKETS = 30
"""In each arm. With fewer, the estimated variance is too rough for the test."""
_KEPT_AFTER_S = 300
_USED = ("accepted", "partly_accepted")

Sums = npt.NDArray[np.float64]
"""One row a bucket: what is counted, and out of how many. Shape (buckets, 2)."""


@frozen
class Rate:
    """A ratio of sums over buckets."""

    value: float
    variance: float
    buckets: int
    count: float
    """Out of how many."""


@frozen
class Difference:
    """The second arm's rate less the first's."""

    name: str
    first: Rate | None
    second: Rate | None
    value: float | None = None
    low: float | None = None
    """The ends of an interval that holds the true difference at all times, with 95% probability."""
    high: float | None = None
    p_value: float | None = None
    """May be looked at any day. None while there are too few buckets."""

    @property
    def decided(self) -> bool:
        """True if there is a difference, as far as one can tell."""
        return self.p_value is not None and self.p_value <= ALPHA


@frozen
class Measure:
    """A figure that arms are compared by."""

    name: str
    scale: float
    """tau: a difference of about this size is found soonest. It must not come from the data."""
    read: Callable[[SuggestionRecord], tuple[float, float] | None] = field(repr=False)
    """From a record to what it adds to both sums; None where it does not count."""


@frozen
class ArmComparison:
    """Two arms of one experiment."""

    experiment: str
    first: str
    second: str
    differences: tuple[Difference, ...]
    latency_ms: tuple[tuple[float | None, float | None], tuple[float | None, float | None]]
    """Median and 95th percentile of each arm, without a test."""


def _acceptance(record: SuggestionRecord) -> tuple[float, float] | None:
    if record.outcome.shown_ms < SEEN_MS:
        return None
    return float(record.outcome.kind in _USED), 1.0


def _kept(record: SuggestionRecord) -> tuple[float, float] | None:
    part = record.kept.get(_KEPT_AFTER_S)
    return None if part is None else (float(part >= MOSTLY), 1.0)


MEASURES = (
    Measure("acceptance", 0.1, _acceptance),
    Measure("kept after 5 min", 0.1, _kept),
    Measure("latency, mean ms", 50.0, lambda record: (record.latency_ms, 1.0)),
)


def experiments(records: Iterable[SuggestionRecord]) -> tuple[str, ...]:
    """Return the names of the experiments in the records, the latest last."""
    latest: dict[str, int] = {}
    for record in records:
        if record.origin.arm:
            latest[record.origin.arm.partition("/")[0]] = record.at
    return tuple(sorted(latest, key=latest.__getitem__))


def compare_arms(records: Iterable[SuggestionRecord], experiment: str) -> ArmComparison | None:
    """Compare the two arms of an experiment; None if not both have records."""
    arms: defaultdict[str, list[SuggestionRecord]] = defaultdict(list)
    for record in records:
        name, _, arm = record.origin.arm.partition("/")
        if name == experiment and arm:
            arms[arm].append(record)
    if len(arms) < 2:
        return None
    # An experiment whose arms were renamed has more than two: the two with the most records count.
    first, second = sorted(sorted(arms, key=lambda arm: -len(arms[arm]))[:2])
    return ArmComparison(
        experiment,
        first,
        second,
        tuple(
            difference(measure, _sums(measure, arms[first]), _sums(measure, arms[second]))
            for measure in MEASURES
        ),
        (_latency(arms[first]), _latency(arms[second])),
    )


def difference(measure: Measure, first: Sums, second: Sums) -> Difference:
    """Compare two arms by one figure."""
    a, b = rate(first), rate(second)
    if a is None or b is None or min(a.buckets, b.buckets) < FEWEST_BUCKETS:
        return Difference(measure.name, a, b)
    value, variance = b.value - a.value, a.variance + b.variance
    if variance <= 0:
        return Difference(measure.name, a, b, value)
    tau2 = measure.scale**2
    log_ratio = 0.5 * math.log(variance / (variance + tau2))
    log_ratio += value**2 * tau2 / (2 * variance * (variance + tau2))
    half = math.sqrt(
        2
        * variance
        * (variance + tau2)
        / tau2
        * (math.log(1 / ALPHA) + 0.5 * math.log((variance + tau2) / variance))
    )
    p_value = min(1.0, math.exp(-log_ratio))
    return Difference(measure.name, a, b, value, value - half, value + half, p_value)


def rate(sums: Sums) -> Rate | None:
    """Return the ratio of the two columns' sums, with the variance between buckets; None for no buckets."""
    sums = sums[sums[:, 1] > 0] if len(sums) else sums
    count = float(sums[:, 1].sum()) if len(sums) else 0.0
    if not count:
        return None
    value = float(sums[:, 0].sum()) / count
    buckets = len(sums)
    residuals = sums[:, 0] - value * sums[:, 1]
    variance = math.inf
    if buckets > 1:
        variance = float((residuals**2).sum()) * buckets / (buckets - 1) / count**2
    return Rate(value, variance, buckets, count)


def _sums(measure: Measure, records: Sequence[SuggestionRecord]) -> Sums:
    sums: defaultdict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for record in records:
        if (added := measure.read(record)) is not None:
            sums[record.origin.bucket][0] += added[0]
            sums[record.origin.bucket][1] += added[1]
    return np.array(list(sums.values()), dtype=np.float64).reshape(-1, 2)


def _latency(records: Sequence[SuggestionRecord]) -> tuple[float | None, float | None]:
    values = [record.latency_ms for record in records]
    if not values:
        return None, None
    return float(np.percentile(values, 50)), float(np.percentile(values, 95))
