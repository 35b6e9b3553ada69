"""Draw the plots of a report as SVG, with matplotlib; without matplotlib the report has tables alone."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from training.evaluate.scores import METRICS, PLAIN, Metric

Figures = Mapping[str, Any]
_PER_CENT = ("%", "0-100")


def draw_plots(report: Figures) -> tuple[str, ...]:
    """Return SVG elements: rates and likelihoods by arm, paired differences, rates by cursor position."""
    try:
        import matplotlib as mpl
    except ImportError:
        return ()
    # The same figures give the same bytes.
    with mpl.rc_context({"svg.hashsalt": "fim-lsp", "svg.fonttype": "none"}):
        arms = report["arms"]
        rates = [metric for metric in METRICS if metric.unit in _PER_CENT]
        likelihoods = [metric for metric in (*METRICS, PLAIN) if metric.unit not in _PER_CENT]
        plots = [
            _bars("Rates and similarity, per cent", rates, arms),
            _bars("Negative log-likelihoods, less is better", likelihoods, arms),
            *(_forest(name, rates, figures) for name, figures in report["paired"].items()),
            *(_by_start(name, figures) for name, figures in arms.items()),
        ]
    return tuple(plot for plot in plots if plot)


def _bars(title: str, metrics: Sequence[Metric], arms: Figures) -> str:
    """Draw grouped bars with their intervals."""
    shown = [metric for metric in metrics if any(_has(figures.get(metric.name)) for figures in arms.values())]
    if not shown:
        return ""
    figure, axes = _axes(9, 1.2 + 0.22 * len(shown) * (len(arms) + 1))
    height = 0.8 / len(arms)
    for number, (name, figures) in enumerate(arms.items()):
        offset = number * height
        rows = [row + offset for row, metric in enumerate(shown) if _has(figures.get(metric.name))]
        found = [figures[metric.name] for metric in shown if _has(figures.get(metric.name))]
        values = [figure["value"] for figure in found]
        axes.barh(rows, values, height, xerr=_errors(found), label=name, capsize=2)
    ticks = [row + 0.4 - height / 2 for row in range(len(shown))]
    axes.set_yticks(ticks, [metric.title for metric in shown])
    axes.invert_yaxis()
    axes.set_title(title)
    axes.legend(loc="best", fontsize="small")
    return _svg(figure)


def _forest(name: str, metrics: Sequence[Metric], figures: Figures) -> str:
    """Draw differences as points with intervals."""
    shown = [metric for metric in metrics if _has(figures.get(metric.name))]
    if not shown:
        return ""
    figure, axes = _axes(9, 1.2 + 0.3 * len(shown))
    found = [figures[metric.name] for metric in shown]
    values = [figure["value"] for figure in found]
    axes.errorbar(values, range(len(shown)), xerr=_errors(found), fmt="o", capsize=3)
    axes.axvline(0, color="grey", linewidth=1)
    axes.set_yticks(range(len(shown)), [metric.title for metric in shown])
    axes.invert_yaxis()
    axes.set_title(f"{name}, in percentage points")
    return _svg(figure)


def _by_start(name: str, figures: Figures) -> str:
    """Draw three metrics for each kind of cursor position."""
    names = ("exact_match", "edit_similarity", "stop_accuracy")
    metrics = [metric for metric in METRICS if metric.name in names]
    groups = {f"{kind} ({entry['n']})": entry for kind, entry in figures["by"]["start_kind"].items()}
    if len(groups) < 2:
        return ""
    figure, axes = _axes(9, 1.2 + 0.22 * len(groups) * (len(metrics) + 1))
    height = 0.8 / len(metrics)
    for number, metric in enumerate(metrics):
        offset = number * height
        rows = [row + offset for row, entry in enumerate(groups.values()) if _has(entry[metric.name])]
        found = [entry[metric.name] for entry in groups.values() if _has(entry[metric.name])]
        values = [value["value"] for value in found]
        axes.barh(rows, values, height, xerr=_errors(found), label=metric.title, capsize=2)
    axes.set_yticks([row + 0.4 - height / 2 for row in range(len(groups))], list(groups))
    axes.invert_yaxis()
    axes.set_title(f"{name}, by cursor position")
    axes.legend(loc="best", fontsize="small")
    return _svg(figure)


def _has(figure: Mapping[str, float | None] | None) -> bool:
    return figure is not None and figure["value"] is not None


def _errors(found: Sequence[Mapping[str, float]]) -> list[list[float]]:
    """Return the distances down and up from each value; after rounding one may be slightly negative."""
    return [
        [max(0.0, figure["value"] - figure["low"]) for figure in found],
        [max(0.0, figure["high"] - figure["value"]) for figure in found],
    ]


def _axes(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    # Not pyplot, which holds every figure in a global list.
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Any) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
