"""Draw a summary with matplotlib: acceptance, persistence, characters saved, latency."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fim_lsp.errors import FimLspError
from fim_lsp.feedback.persistence import CHECKS_S
from fim_lsp.feedback.statistics import Statistics, Summary
from fim_lsp.feedback.store import date_of

_FORMATS = (".png", ".svg", ".pdf")
_MOST_BARS = 8


class PlotError(FimLspError):
    """The plot can't be drawn or written."""


def draw(summary: Summary, path: Path) -> None:
    """Write the plot in the format that the file's ending names.

    Raises:
        PlotError: matplotlib is missing, the ending is unknown, or the file can't be written.
    """
    if path.suffix.lower() not in _FORMATS:
        raise PlotError(f"{path} has no known ending.", f"Use one of {', '.join(_FORMATS)}.")
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PlotError(
            "Plots need matplotlib, which is not installed.",
            "Run: pip install matplotlib (the extra fim-lsp[plot] brings it too)",
        ) from error
    # Without pyplot, which needs a screen. The salt makes equal figures equal files.
    with mpl.rc_context({"svg.hashsalt": "fim-lsp", "svg.fonttype": "none"}):
        figure = Figure(figsize=(13, 8), layout="constrained")
        axes = figure.subplots(2, 2)
        for plot in axes.flat:
            plot.spines[["top", "right"]].set_visible(False)
        _acceptance(axes[0, 0], {**summary.by_language, **summary.by_model})
        _persistence(axes[0, 1], summary.by_model)
        _saved(axes[1, 0], summary.saved_by_day)
        _latency(axes[1, 1], summary.by_model)
        try:
            figure.savefig(path, dpi=120)
        except OSError as error:
            raise PlotError(f"{path} could not be written: {error}.", "Choose another place.") from error


def _acceptance(axes: Any, groups: Mapping[str, Statistics]) -> None:
    rows = [(name, group) for name, group in groups.items() if group.acceptance is not None][:_MOST_BARS]
    axes.barh(
        [f"{_folded(name)} ({group.seen})" for name, group in rows],
        [100 * (group.acceptance or 0) for _, group in rows],
    )
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_title("Accepted, % of those seen")


def _persistence(axes: Any, groups: Mapping[str, Statistics]) -> None:
    for name, group in list(groups.items())[:_MOST_BARS]:
        rates = [(after_s, group.persistence[after_s].rate) for after_s in CHECKS_S]
        known = [(after_s, 100 * rate) for after_s, rate in rates if rate is not None]
        if known:
            axes.plot(*zip(*known, strict=True), marker="o", label=_folded(name))
    axes.set_xlim(0, max(CHECKS_S) * 1.05)
    axes.set_ylim(0, 105)
    axes.set_xlabel("seconds after the acceptance")
    axes.set_title("Mostly still there, % of those accepted")
    if axes.lines:
        axes.legend(fontsize="small")


def _saved(axes: Any, saved: Mapping[int, int]) -> None:
    axes.bar([date_of(day) for day in saved], list(saved.values()), width=0.8)
    axes.tick_params(axis="x", labelrotation=30)
    axes.set_title("Characters saved a day")


def _latency(axes: Any, groups: Mapping[str, Statistics]) -> None:
    rows = list(groups.items())[:_MOST_BARS]
    for offset, label in ((-0.2, "p50"), (0.2, "p95")):
        values = [
            (group.latency_p50_ms if label == "p50" else group.latency_p95_ms) or 0.0 for _, group in rows
        ]
        axes.barh([row + offset for row in range(len(rows))], values, 0.4, label=label)
    axes.set_yticks(range(len(rows)), [_folded(name) for name, _ in rows])
    axes.invert_yaxis()
    axes.set_title("From request to answer, ms")
    if rows:
        axes.legend(fontsize="small")


def _folded(name: str) -> str:
    """Break a long name into lines, so that it leaves room for the bars."""
    return textwrap.fill(name, 24)
