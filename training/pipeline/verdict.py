"""Is what was trained better than its base? Read off the report, with its intervals, in a sentence or two."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from attrs import frozen

Outcome = Literal["better", "worse", "no different", "mixed", "unknown"]

BASE, TUNED = "base", "tuned"
"""The arms' names."""
_JUDGED_BY = (("middle_nll", "NLL of the true middle", 3), ("edit_similarity", "edit similarity", 1))
_SAID: Mapping[Outcome, str] = MappingProxyType(
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
    """What the held-out holes say."""

    outcome: Outcome
    text: str
    """With the figures, and 95% intervals of the differences."""


def judge(report: Mapping[str, Any]) -> Verdict:
    """The verdict of a report with the arms ``base`` and ``tuned``.

    A figure counts where the interval of its paired difference leaves out zero.
    """
    paired, arms = report["paired"][f"{TUNED} - {BASE}"], report["arms"]
    outcomes, figures = [], []
    for name, title, digits in _JUDGED_BY:
        change = paired[name]
        if change["value"] is None:
            continue
        outcomes.append(_outcome(change, more_is_better=report["metrics"][name]["more_is_better"]))
        before, after = (arms[arm][name]["value"] for arm in (BASE, TUNED))
        figures.append(
            f"{title} {after:.{digits}f} against {before:.{digits}f} "
            f"({change['value']:+.{digits}f}, 95% interval {change['low']:+.{digits}f} to "
            f"{change['high']:+.{digits}f})"
        )
    outcome = _joined(outcomes)
    told = ": " + "; ".join(figures) if figures else ""
    return Verdict(outcome, f"{_SAID[outcome]} on {arms[TUNED]['n']} holes in held-out code{told}.")


def _outcome(change: Mapping[str, float], *, more_is_better: bool) -> Outcome:
    if change["low"] <= 0 <= change["high"]:
        return "no different"
    return "better" if (change["low"] > 0) == more_is_better else "worse"


def _joined(outcomes: list[Outcome]) -> Outcome:
    if not outcomes:
        return "unknown"
    told = set(outcomes) - {"no different"}
    if len(told) > 1:
        return "mixed"
    return told.pop() if told else "no different"
