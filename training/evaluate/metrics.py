"""Measure a text against its hole, and compute means over many holes with their intervals.

Rates are per cent. Intervals are 95% percentile bootstrap intervals over holes (Efron and Tibshirani 1993,
chapter 13), with a seed. If all holes have the same value the interval is a point, even for few holes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

WeightedTotal = tuple[float, float]
"""A hole's total and weight; a metric is the sum of the totals divided by the sum of the weights."""

_SAMPLES = 1000
_TRIVIAL = re.compile(r"[\s)\]}>\"'`;,:]+\Z")
_TELLING = re.compile(r"\w")
_SHORTEST_TELLING = 4


@frozen
class Interval:
    """A value with its 95% interval; all None if nothing was measured."""

    value: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def decided(self) -> bool:
        """True if zero is outside the interval, so that a difference is not explained by chance."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


# --- One text, one hole


def exact_match(text: str, middle: str) -> bool:
    """Check if ``text`` equals the middle, character by character."""
    return text == middle


def exact_match_closers(text: str, middle: str) -> bool:
    """Check if both are equal without trailing blanks and closers (brackets, quotes, ``;,:``).

    ``"f(x)"`` and ``"f(x"`` match: editors close brackets by themselves, so a closer matters little to the
    user.
    """
    return _TRIVIAL.sub("", text) == _TRIVIAL.sub("", middle)


def edit_similarity(text: str, middle: str) -> float:
    """Return ``100 * (1 - Levenshtein / longer length)``, 0 to 100 (IntelliCode, arXiv 2005.08025)."""
    from rapidfuzz.distance import Levenshtein

    return 100.0 * Levenshtein.normalized_similarity(text, middle)


def suffix_repeated(text: str, middle: str, suffix: str) -> bool | None:
    """Check if ``text`` repeats the suffix's first line with a word in it.

    If that line is the rest of the cursor's line, a line of the text that ends with it counts too. A text
    with the lines ``a = 1`` and ``print(a)``, before a suffix whose next line is ``print(a)`` -> True.

    Returns:
        None if it can't be decided: the suffix has no such line, the line is too short, or the middle has it
        too.
    """
    line, whole = _first_telling_line(suffix)
    if not line or _has_line(middle, line, whole=whole):
        return None
    return _has_line(text, line, whole=whole)


def _first_telling_line(suffix: str) -> tuple[str, bool]:
    """Return the line without blanks around it, and True if it is a whole line of the document."""
    for number, line in enumerate(suffix.split("\n")):
        if len(line.strip()) >= _SHORTEST_TELLING and _TELLING.search(line):
            return line.strip(), number > 0
    return "", True


def _has_line(text: str, line: str, *, whole: bool) -> bool:
    own_lines = (own.strip() for own in text.split("\n"))
    return any(own == line or (not whole and own.endswith(line)) for own in own_lines)


# --- Many holes


def interval(totals: Sequence[WeightedTotal], seed: int = 0) -> Interval:
    """Return a metric over all holes, with its interval.

    Args:
        totals: total and weight of each hole.
        seed: of the bootstrap.
    """
    if not totals:
        return Interval()
    return _interval(_ratio(totals), _resample(totals, seed))


def difference(arm: Sequence[WeightedTotal], base: Sequence[WeightedTotal], seed: int = 0) -> Interval:
    """Return ``arm`` minus ``base`` over the same holes in the same order, with its interval.

    Both are resampled together (paired bootstrap).

    Raises:
        ValueError: the two differ in length.
    """
    if len(arm) != len(base):
        raise ValueError(f"{len(arm)} holes can't be paired with {len(base)}")
    if not arm:
        return Interval()
    return _interval(_ratio(arm) - _ratio(base), _resample(arm, seed) - _resample(base, seed))


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Return a percentile of the values, interpolated; None without values."""
    return float(np.percentile(values, percent)) if len(values) else None


def _ratio(totals: Sequence[WeightedTotal]) -> float:
    sums, weights = np.array(totals, dtype=np.float64).T
    return float(sums.sum() / weights.sum())


def _resample(totals: Sequence[WeightedTotal], seed: int) -> NDArray[np.float64]:
    """Return the metric of each bootstrap sample, shape (samples,).

    Metrics with the same number of holes get the same samples.
    """
    sums, weights = np.array(totals, dtype=np.float64).T
    counts = _counts(len(totals), seed)
    ratios: NDArray[np.float64] = (counts @ sums) / (counts @ weights)
    return ratios


@lru_cache(maxsize=64)
def _counts(holes: int, seed: int) -> NDArray[Any]:
    """Return how many times each hole is drawn in each bootstrap sample, shape (samples, holes)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(holes, np.full(holes, 1 / holes), size=_SAMPLES).astype(np.float32)


def _interval(value: float, samples: NDArray[np.float64]) -> Interval:
    low, high = np.percentile(samples, (2.5, 97.5))
    # Rounding in the samples can put the value outside of its own interval by the last bit.
    return Interval(value, min(float(low), value), max(float(high), value))
