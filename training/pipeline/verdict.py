"""Compare the tuned model with its base, in a sentence or two, from the figures of a report."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from attrs import frozen

VerdictOutcome = Literal["better", "worse", "no different", "mixed", "unknown"]

BASE, TUNED = "base", "tuned"
"""Names of the two arms in the report."""
_METRICS = (("middle_nll", "NLL of the true middle", 3), ("edit_similarity", "edit similarity", 1))
"""The figures that decide: key in the report, title, decimals."""
_SENTENCES: Mapping[VerdictOutcome, str] = MappingProxyType(
    {
        "better": "The tuned model is better than its base",
        "worse": "The tuned model is worse than its base",
        "no different": "The tuned model is no different from its base, within the intervals,",
        "mixed": "The tuned model is better than its base in one figure and worse in another",
        "unknown": "Nothing can be said of the tuned model",
    }
)


@frozen
class Verdict:
    """The result of a run: whether the tuned model is better than its base."""

    outcome: VerdictOutcome
    text: str
    """A sentence with the figures, and 95% intervals of the differences."""


def compare_with_base(report: Mapping[str, Any]) -> Verdict:
    """Return the verdict of a report with the arms ``base`` and ``tuned``.

    A figure counts as different if the interval of its paired difference does not contain zero.
    """
    paired, arms = report["paired"][f"{TUNED} - {BASE}"], report["arms"]
    outcomes: list[VerdictOutcome] = []
    figures = []
    for name, title, digits in _METRICS:
        change = paired[name]
        if change["value"] is None:
            continue
        outcomes.append(_compare_metric(change, more_is_better=report["metrics"][name]["more_is_better"]))
        before, after = (arms[arm][name]["value"] for arm in (BASE, TUNED))
        figures.append(
            f"{title} {after:.{digits}f} against {before:.{digits}f} "
            f"({change['value']:+.{digits}f}, 95% interval {change['low']:+.{digits}f} to "
            f"{change['high']:+.{digits}f})"
        )
    outcome = _combine(outcomes)
    details = ": " + "; ".join(figures) if figures else ""
    return Verdict(outcome, f"{_SENTENCES[outcome]} on {arms[TUNED]['n']} holes in held-out code{details}.")


def _compare_metric(change: Mapping[str, float], *, more_is_better: bool) -> VerdictOutcome:
    if change["low"] <= 0 <= change["high"]:
        return "no different"
    return "better" if (change["low"] > 0) == more_is_better else "worse"


def _combine(outcomes: list[VerdictOutcome]) -> VerdictOutcome:
    """Return one outcome for all figures; a figure that is no different does not weaken the others."""
    if not outcomes:
        return "unknown"
    different = set(outcomes) - {"no different"}
    if len(different) > 1:
        return "mixed"
    return different.pop() if different else "no different"
