"""Measure the model on repositories that it was not fitted on: what is lost, what is hidden, calibration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from attrs import frozen

from fim_lsp.completion.showing.chance import ChanceModel
from fim_lsp.completion.showing.decision import decide
from fim_lsp.completion.showing.features import features_of
from fim_lsp.completion.showing.places import Place
from training.confidence.examples import Shown

LeastChance = Callable[[Place], float]
"""The least chance to show a suggestion at a kind of place."""
_BINS = 8


@frozen
class HidingFigures:
    """The outcome of thresholds, against showing every suggestion whole. Rates are 0 to 1."""

    lost: float
    """Of the characters of right suggestions, those that are not shown."""
    gained: float
    """Characters of right parts of wrong suggestions, as a share of the characters of right ones."""
    hidden: float
    """Of the wrong suggestions, those that are hidden, or cut to a right part."""
    offered_where_complete: float
    """Suggestions where nothing is missing, as a share of those without a threshold."""
    right: int
    wrong: int
    complete: int
    """Suggestions without a threshold: right, wrong, and where nothing is missing."""


@frozen
class CalibrationBin:
    """Suggestions whose estimates are alike."""

    estimated: float
    """Mean estimate."""
    right: float
    """Share that was right."""
    count: int


def measure_hiding(shown: Sequence[Shown], model: ChanceModel, least: LeastChance) -> HidingFigures:
    """Return the figures of thresholds by place."""
    kept = lost = gained = right = wrong = hidden = complete = offered = 0
    for each in shown:
        decision = decide(each.facts, model, least(each.facts.place))
        chars, part = len(each.text.strip()), len(each.text[: decision.end].strip())
        complete += each.complete
        offered += each.complete and decision.end > 0
        if each.is_right(len(each.text)):
            right += 1
            kept += chars
            lost += chars - part
        else:
            wrong += 1
            part_right = decision.end > 0 and each.is_right(decision.end)
            hidden += decision.end == 0 or part_right
            gained += part * part_right
    return HidingFigures(
        lost / max(1, kept),
        gained / max(1, kept),
        hidden / max(1, wrong),
        offered / max(1, complete),
        right,
        wrong,
        complete,
    )


def calibrate(shown: Sequence[Shown], model: ChanceModel) -> tuple[CalibrationBin, ...]:
    """Return bins of as many suggestions each, by the estimate of the whole text."""
    estimates = np.array([model.estimate(features_of(each.facts, len(each.text))) for each in shown])
    rights = np.array([each.is_right(len(each.text)) for each in shown], dtype=float)
    parts = np.array_split(np.argsort(estimates), _BINS)
    return tuple(
        CalibrationBin(float(estimates[part].mean()), float(rights[part].mean()), len(part))
        for part in parts
        if len(part)
    )


def discrimination(shown: Sequence[Shown], model: ChanceModel) -> float:
    """Return the chance that a right suggestion has a higher estimate than a wrong one (AUC)."""
    estimates = np.array([model.estimate(features_of(each.facts, len(each.text))) for each in shown])
    rights = np.array([each.is_right(len(each.text)) for each in shown])
    higher = estimates[rights][:, None] - estimates[~rights][None, :]
    return float((higher > 0).mean() + (higher == 0).mean() / 2)


def calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """Return the mean distance of estimates and outcomes."""
    total = sum(each.count for each in bins)
    return sum(each.count * abs(each.estimated - each.right) for each in bins) / max(1, total)


def draw(bins: Sequence[CalibrationBin], path: Path) -> None:
    """Draw the reliability plot."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(4, 4))
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1)
    axes.plot([each.estimated for each in bins], [each.right for each in bins], marker="o")
    axes.set(xlabel="estimated chance", ylabel="share that was right", xlim=(0, 1), ylim=(0, 1))
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
