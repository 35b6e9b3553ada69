"""The report's tables as values: the terminal, Markdown and HTML show the same ones."""

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
    "kind": "By how the hole was chosen",
    "start_kind": "By where the cursor stands",
    "end_kind": "By where the middle ends",
    "lines": "By lines of the middle",
    "language": "By language",
}
_NOTHING = "-"
Figures = Mapping[str, Any]


@frozen
class Table:
    """A titled grid of texts; the first column is its rows' names."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def all_tables(report: Figures) -> tuple[Table, ...]:
    """Every table, the most telling first."""
    return (*main_tables(report), *_texts(report), *_groups(report), _latency(report))


def main_tables(report: Figures) -> tuple[Table, ...]:
    """Arms, and what parts them."""
    return (_arms(report), *([_paired(report)] if report["paired"] else []))


def as_text(figure: Mapping[str, float | None] | None, digits: int = 1, *, signed: bool = False) -> str:
    """``31.0 (23.5, 38.5)``: a value and its interval."""
    if not figure or any(figure[part] is None for part in ("value", "low", "high")):
        return _NOTHING
    shape = f"{'+' if signed else ''}.{digits}f"
    return f"{figure['value']:{shape}} ({figure['low']:{shape}}, {figure['high']:{shape}})"


def rich_table(table: Table) -> RichTable:
    """For the terminal."""
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
    """The metrics that any of them has."""
    return [
        metric
        for metric in metrics
        if any(figures.get(metric.name, {}).get("value") is not None for figures in all_figures)
    ]


def _arms(report: Figures) -> Table:
    """Metrics as rows: arms are few, and metrics many."""
    arms = report["arms"]
    metrics = _measured((*METRICS, PLAIN), list(arms.values()))
    rows = [("holes", *(str(figures["n"]) for figures in arms.values()))]
    rows += [("judged text", *(figures["text"] for figures in arms.values()))]
    rows += [("template", *(", ".join(figures["templates"]) or _NOTHING for figures in arms.values()))]
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
    if text == _NOTHING or figure is None:
        return text
    low, high = figure["low"] or 0.0, figure["high"] or 0.0
    return f"{text} *" if low > 0 or high < 0 else text


def _texts(report: Figures) -> Iterator[Table]:
    """What the stop rules and the filters do to an arm's text."""
    for name, figures in report["arms"].items():
        texts = figures["texts"]
        metrics = _measured(TEXT_METRICS, list(texts.values()))
        if metrics:
            rows = tuple(
                (f"{metric.title} ({metric.unit})", *(as_text(texts[which][metric.name]) for which in TEXTS))
                for metric in metrics
            )
            yield Table(f"{name}: what stop rules and filters do to its text", ("", *TEXTS), rows)


def _groups(report: Figures) -> Iterator[Table]:
    titles = {metric.name: metric for metric in METRICS}
    for group, title in _GROUP_TITLES.items():
        for name, figures in report["arms"].items():
            members = figures["by"][group]
            metrics = _measured([titles[one] for one in _GROUP_METRICS], list(members.values()))
            if len(members) > 1:
                rows = tuple(_group_row(member, entry, metrics) for member, entry in members.items())
                headings = ("", "holes", *(f"{metric.title} ({metric.unit})" for metric in metrics))
                yield Table(f"{title}: {name}", headings, rows)


def _group_row(member: str, figures: Figures, metrics: Sequence[Metric]) -> tuple[str, ...]:
    values = (as_text(figures[metric.name], _digits(metric)) for metric in metrics)
    return (member, str(figures["n"]), *values)


def _latency(report: Figures) -> Table:
    headings = ("", "first text p50", "p95", "answer p50", "p95", "prompt tokens", "tokens written")
    rows = []
    for name, figures in report["arms"].items():
        latency, tokens = figures["latency"], figures["tokens"]
        times = [latency[which][part] for which in ("first_ms", "shown_ms") for part in ("p50", "p95")]
        shown = [_NOTHING if time is None else f"{time:.0f} ms" for time in times]
        rows.append((name, *shown, f"{tokens['evaluated']:.0f}", f"{tokens['generated']:.0f}"))
    return Table("Latency, each hole with a cold cache", headings, tuple(rows))
