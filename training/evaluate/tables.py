"""Make the tables of the report as values; the terminal, Markdown and HTML show the same tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import frozen

from training.evaluate.arms import TEXTS
from training.evaluate.scores import METRICS, PLAIN, TEXT_METRICS, Metric

if TYPE_CHECKING:
    from rich.table import Table as RichTable

_GROUP_METRICS = (
    "exact_match",
    "edit_similarity",
    "pass_at_1",
    "answered",
    "stop_accuracy",
    "suffix_repeated",
    "middle_nll",
)
_GROUP_TITLES = {
    "set": "By set",
    "kind": "By the way the hole was chosen",
    "start_kind": "By cursor position",
    "end_kind": "By the position of the middle's end",
    "lines": "By lines of the middle",
    "language": "By language",
}
_MISSING = "-"
Figures = Mapping[str, Any]


@frozen
class Table:
    """A titled grid of texts; the first column has the names of the rows."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def all_tables(report: Figures) -> tuple[Table, ...]:
    """Return all tables, the most important first."""
    return (*main_tables(report), *_texts(report), *_groups(report), _latency(report))


def main_tables(report: Figures) -> tuple[Table, ...]:
    """Return the table of the arms and the table of their differences."""
    return (_arms(report), *([_paired(report)] if report["paired"] else []))


def as_text(figure: Mapping[str, float | None] | None, digits: int = 1, *, signed: bool = False) -> str:
    """Format a value with its interval: ``31.0 (23.5, 38.5)``."""
    if not figure or any(figure[part] is None for part in ("value", "low", "high")):
        return _MISSING
    shape = f"{'+' if signed else ''}.{digits}f"
    return f"{figure['value']:{shape}} ({figure['low']:{shape}}, {figure['high']:{shape}})"


def rich_table(table: Table) -> RichTable:
    """Convert a table for the terminal."""
    from rich.markup import escape
    from rich.table import Table as RichTable

    grid = RichTable(title=escape(table.title), title_justify="left")
    for number, heading in enumerate(table.headings):
        grid.add_column(escape(heading), justify="right" if number else "left")
    for row in table.rows:
        grid.add_row(*map(escape, row))
    return grid


def _digits(metric: Metric) -> int:
    return 1 if metric.unit in ("%", "0-100") else 3


def _measured(metrics: Sequence[Metric], all_figures: Sequence[Figures]) -> list[Metric]:
    """Return the metrics that any of the figures has."""
    return [
        metric
        for metric in metrics
        if any(figures.get(metric.name, {}).get("value") is not None for figures in all_figures)
    ]


def _arms(report: Figures) -> Table:
    """Make the table of the arms, with metrics as rows, because there are more of them."""
    arms = report["arms"]
    metrics = _measured((*METRICS, PLAIN), list(arms.values()))
    rows = [("holes", *(str(figures["n"]) for figures in arms.values()))]
    rows += [("measured text", *(figures["text"] for figures in arms.values()))]
    rows += [("template", *(", ".join(figures["templates"]) or _MISSING for figures in arms.values()))]
    for metric in metrics:
        values = (as_text(figures.get(metric.name), _digits(metric)) for figures in arms.values())
        rows.append((f"{metric.title} ({metric.unit})", *values))
    return Table("Arms, with 95% intervals", ("", *arms), tuple(rows))


def _paired(report: Figures) -> Table:
    paired = report["paired"]
    metrics = _measured((*METRICS, PLAIN), list(paired.values()))
    rows = []
    for metric in metrics:
        values = (_marked(figures.get(metric.name), metric) for figures in paired.values())
        rows.append((f"{metric.title} ({metric.unit})", *values))
    return Table("Paired differences (* beyond chance)", ("", *paired), tuple(rows))


def _marked(figure: Mapping[str, float | None] | None, metric: Metric) -> str:
    text = as_text(figure, _digits(metric), signed=True)
    if text == _MISSING or figure is None:
        return text
    low, high = figure["low"] or 0.0, figure["high"] or 0.0
    return f"{text} *" if low > 0 or high < 0 else text


def _texts(report: Figures) -> Iterator[Table]:
    """Yield a table for each arm that compares its texts before and after stop rules and filters."""
    for name, figures in report["arms"].items():
        texts = figures["texts"]
        metrics = _measured(TEXT_METRICS, list(texts.values()))
        if metrics:
            rows = tuple(
                (f"{metric.title} ({metric.unit})", *(as_text(texts[which][metric.name]) for which in TEXTS))
                for metric in metrics
            )
            yield Table(f"{name}: its text before and after stop rules and filters", ("", *TEXTS), rows)


def _groups(report: Figures) -> Iterator[Table]:
    by_name = {metric.name: metric for metric in METRICS}
    for group, title in _GROUP_TITLES.items():
        for name, figures in report["arms"].items():
            members = figures["by"][group]
            metrics = _measured([by_name[metric] for metric in _GROUP_METRICS], list(members.values()))
            if len(members) > 1:
                rows = tuple(_group_row(member, entry, metrics) for member, entry in members.items())
                headings = ("", "holes", *(f"{metric.title} ({metric.unit})" for metric in metrics))
                yield Table(f"{title}: {name}", headings, rows)


def _group_row(member: str, figures: Figures, metrics: Sequence[Metric]) -> tuple[str, ...]:
    values = (as_text(figures[metric.name], _digits(metric)) for metric in metrics)
    return (member, str(figures["n"]), *values)


def _latency(report: Figures) -> Table:
    headings = ("", "first token p50", "p95", "answer p50", "p95", "prompt tokens", "tokens generated")
    rows = []
    for name, figures in report["arms"].items():
        latency, tokens = figures["latency"], figures["tokens"]
        times = [latency[which][part] for which in ("first_ms", "shown_ms") for part in ("p50", "p95")]
        shown = [_MISSING if time is None else f"{time:.0f} ms" for time in times]
        rows.append((name, *shown, f"{tokens['evaluated']:.0f}", f"{tokens['generated']:.0f}"))
    return Table("Latency, each hole with an empty KV cache", headings, tuple(rows))
