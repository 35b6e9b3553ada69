"""How good is one text for one hole, and how sure is a mean of many: pure, the last step before the report.

Rates are per cent. Intervals are 95% percentile bootstrap intervals over holes (Efron and Tibshirani 1993,
chapter 13), seeded; where every hole is judged alike the interval is a point, however few the holes.
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
"""A hole's total and weight; a metric is the sum of the totals over the sum of the weights."""

_DRAWS = 1000
_TRIVIAL = re.compile(r"[\s)\]}>\"'`;,:]+\Z")
_TELLING = re.compile(r"\w")
_SHORTEST_TELLING = 4


@frozen
class Interval:
    """A value with its 95% interval; all None where nothing was measured."""

    value: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def decided(self) -> bool:
        """Whether zero lies outside: for a difference, that it is beyond chance."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


# --- One text, one hole


def exact_match(text: str, middle: str) -> bool:
    """Whether ``text`` is the middle, character by character."""
    return text == middle


def exact_match_closers(text: str, middle: str) -> bool:
    """The same, trailing blanks and closers (brackets, quotes, ``;,:``) left out of both.

    Editors close brackets by themselves, so whether the model did hardly matters to the user.
    """
    return _TRIVIAL.sub("", text) == _TRIVIAL.sub("", middle)


def edit_similarity(text: str, middle: str) -> float:
    """``100 * (1 - Levenshtein / longer length)`` in characters, 0 to 100 (IntelliCode, arXiv 2005.08025)."""
    from rapidfuzz.distance import Levenshtein

    return 100.0 * Levenshtein.normalized_similarity(text, middle)


def suffix_repeated(text: str, middle: str, suffix: str) -> bool | None:
    """Whether ``text`` says again what follows the hole: the suffix's first line with a word in it.

    Where that line begins on the cursor's own line, a line of the text that ends in it counts.

    Returns:
        None where it can't be told: there is no such line, it is too short, or the middle itself holds it.
    """
    line, whole = _first_telling_line(suffix)
    if not line or _says(middle, line, whole=whole):
        return None
    return _says(text, line, whole=whole)


def _first_telling_line(suffix: str) -> tuple[str, bool]:
    """The line without blanks around it, and whether it is a whole line of the document."""
    for number, line in enumerate(suffix.split("\n")):
        if len(line.strip()) >= _SHORTEST_TELLING and _TELLING.search(line):
            return line.strip(), number > 0
    return "", True


def _says(text: str, line: str, *, whole: bool) -> bool:
    lines = (one.strip() for one in text.split("\n"))
    return any(one == line or (not whole and one.endswith(line)) for one in lines)


# --- Many holes


def interval(judged: Sequence[WeightedTotal], seed: int = 0) -> Interval:
    """The metric over all holes.

    Args:
        judged: each hole's total and weight.
        seed: of the bootstrap.
    """
    if not judged:
        return Interval()
    return _interval(_ratio(judged), _resampled(judged, seed))


def difference(arm: Sequence[WeightedTotal], base: Sequence[WeightedTotal], seed: int = 0) -> Interval:
    """``arm`` minus ``base`` over the same holes, in the same order: both are resampled together.

    Raises:
        ValueError: the two differ in length.
    """
    if len(arm) != len(base):
        raise ValueError(f"{len(arm)} holes can't be paired with {len(base)}")
    if not arm:
        return Interval()
    return _interval(_ratio(arm) - _ratio(base), _resampled(arm, seed) - _resampled(base, seed))


def percentile(values: Sequence[float], percent: float) -> float | None:
    """A percentile of the values, interpolated; None of nothing."""
    return float(np.percentile(values, percent)) if len(values) else None


def _ratio(judged: Sequence[WeightedTotal]) -> float:
    totals, weights = np.array(judged, dtype=np.float64).T
    return float(totals.sum() / weights.sum())


def _resampled(judged: Sequence[WeightedTotal], seed: int) -> NDArray[np.float64]:
    """The metric in each draw; the same holes are drawn for every metric with as many holes."""
    totals, weights = np.array(judged, dtype=np.float64).T
    counts = _counts(len(judged), seed)
    ratios: NDArray[np.float64] = (counts @ totals) / (counts @ weights)
    return ratios


@lru_cache(maxsize=64)
def _counts(holes: int, seed: int) -> NDArray[Any]:
    """How often each hole is drawn: one row a draw."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(holes, np.full(holes, 1 / holes), size=_DRAWS).astype(np.float32)


def _interval(value: float, draws: NDArray[np.float64]) -> Interval:
    low, high = np.percentile(draws, (2.5, 97.5))
    # Rounding in the draws must not put the value outside of its own interval by the last bit.
    return Interval(value, min(float(low), value), max(float(high), value))
