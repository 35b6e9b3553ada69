"""Plots of a report as SVG texts, drawn with matplotlib; without it the report has tables alone."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from training.evaluate.scores import METRICS, PLAIN, Metric

Figures = Mapping[str, Any]
_PER_CENT = ("%", "0-100")


def draw_plots(report: Figures) -> tuple[str, ...]:
    """SVG elements: rates and likelihoods by arm, paired differences, rates by cursor."""
    try:
        import matplotlib as mpl
    except ImportError:
        return ()
    # Off any screen, and the same bytes for the same figures.
    with mpl.rc_context({"svg.hashsalt": "fim-lsp", "svg.fonttype": "none"}):
        arms = report["arms"]
        rates = [metric for metric in METRICS if metric.unit in _PER_CENT]
        likelihoods = [metric for metric in (*METRICS, PLAIN) if metric.unit not in _PER_CENT]
        plots = [
            _bars("Rates and similarity, per cent", rates, arms),
            _bars("What they find likely, less is better", likelihoods, arms),
            *(_forest(name, rates, figures) for name, figures in report["paired"].items()),
            *(_by_start(name, figures) for name, figures in arms.items()),
        ]
    return tuple(plot for plot in plots if plot)


def _bars(title: str, metrics: Sequence[Metric], arms: Figures) -> str:
    """Grouped bars with their intervals."""
    shown = [one for one in metrics if any(_has(figures.get(one.name)) for figures in arms.values())]
    if not shown:
        return ""
    figure, axes = _axes(9, 1.2 + 0.22 * len(shown) * (len(arms) + 1))
    height = 0.8 / len(arms)
    for number, (name, figures) in enumerate(arms.items()):
        places = [row + number * height for row, one in enumerate(shown) if _has(figures.get(one.name))]
        found = [figures[one.name] for one in shown if _has(figures.get(one.name))]
        axes.barh(places, [one["value"] for one in found], height, xerr=_errors(found), label=name, capsize=2)
    axes.set_yticks([row + 0.4 - height / 2 for row in range(len(shown))], [one.title for one in shown])
    axes.invert_yaxis()
    axes.set_title(title)
    axes.legend(loc="best", fontsize="small")
    return _svg(figure)


def _forest(name: str, metrics: Sequence[Metric], figures: Figures) -> str:
    """Differences as points with intervals around zero."""
    shown = [one for one in metrics if _has(figures.get(one.name))]
    if not shown:
        return ""
    figure, axes = _axes(9, 1.2 + 0.3 * len(shown))
    found = [figures[one.name] for one in shown]
    axes.errorbar([one["value"] for one in found], range(len(shown)), xerr=_errors(found), fmt="o", capsize=3)
    axes.axvline(0, color="grey", linewidth=1)
    axes.set_yticks(range(len(shown)), [one.title for one in shown])
    axes.invert_yaxis()
    axes.set_title(f"{name}, in percentage points")
    return _svg(figure)


def _by_start(name: str, figures: Figures) -> str:
    """Three figures for each place that a cursor stands at."""
    places = figures["by"]["start_kind"]
    metrics = [one for one in METRICS if one.name in ("exact_match", "edit_similarity", "stop_accuracy")]
    renamed = {f"{place} ({entry['n']})": entry for place, entry in places.items()}
    if len(renamed) < 2:
        return ""
    figure, axes = _axes(9, 1.2 + 0.22 * len(renamed) * (len(metrics) + 1))
    height = 0.8 / len(metrics)
    for number, metric in enumerate(metrics):
        rows = [row for row, entry in enumerate(renamed.values()) if _has(entry[metric.name])]
        found = [entry[metric.name] for entry in renamed.values() if _has(entry[metric.name])]
        places_at = [row + number * height for row in rows]
        values = [one["value"] for one in found]
        axes.barh(places_at, values, height, xerr=_errors(found), label=metric.title, capsize=2)
    axes.set_yticks([row + 0.4 - height / 2 for row in range(len(renamed))], list(renamed))
    axes.invert_yaxis()
    axes.set_title(f"{name}, by where the cursor stands")
    axes.legend(loc="best", fontsize="small")
    return _svg(figure)


def _has(figure: Mapping[str, float | None] | None) -> bool:
    return figure is not None and figure["value"] is not None


def _errors(found: Sequence[Mapping[str, float]]) -> list[list[float]]:
    """Distances down and up from each value; rounding in the report may leave a trace below zero."""
    return [
        [max(0.0, one["value"] - one["low"]) for one in found],
        [max(0.0, one["high"] - one["value"]) for one in found],
    ]


def _axes(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    # Without pyplot, which keeps every figure in a global list.
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Any) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
