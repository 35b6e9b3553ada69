"""``fim-lsp stats``: show what became of suggestions on this machine, as a table, a plot or JSON.

``fim_lsp.feedback`` records only numbers, and only on this machine.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from fim_lsp.feedback.statistics import Statistics, Summary
    from fim_lsp.feedback.store import FeedbackStore

_BARS = "▁▂▃▄▅▆▇█"
_SHOWN_DAYS = 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``stats``."""
    doing = parser.add_mutually_exclusive_group()
    doing.add_argument("--json", action="store_true", help="print every figure as JSON")
    parser.add_argument(
        "--compare",
        metavar="EXPERIMENT",
        nargs="?",
        const="",
        help="compare the two arms of an experiment, by default the latest",
    )
    doing.add_argument("--clear", action="store_true", help="delete everything that was counted")
    parser.add_argument("--plot", metavar="FILE", type=Path, help="draw a picture too: .png, .svg or .pdf")
    parser.add_argument("--yes", action="store_true", help="with --clear: do not ask")


def run(parsed: argparse.Namespace) -> int:
    """Show, draw or clear the feedback."""
    from fim_lsp.commands.compare_arms import compare
    from fim_lsp.feedback.statistics import summarize
    from fim_lsp.feedback.store import FeedbackStore, feedback_path

    path = feedback_path()
    if not path.exists():
        print(f"Nothing was counted yet: there is no {path}.", file=sys.stderr)
        if parsed.json:
            print(json.dumps(as_json(summarize((), ())), indent=2))
        return 0
    store = FeedbackStore(path)
    try:
        if parsed.clear:
            return _clear(store, sure=parsed.yes)
        if parsed.compare is not None:
            return compare(store.records(), parsed.compare, as_json=parsed.json)
        summary = summarize(store.records(), store.written())
    finally:
        store.close()
    _show(summary, parsed)
    return 0


def _clear(store: FeedbackStore, *, sure: bool) -> int:
    if not sure and sys.stdin.isatty():
        count = len(store.records())
        answer = input(f"Delete what was counted of {count} suggestions in {store.path}? [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            print("Nothing was deleted.", file=sys.stderr)
            return 1
    print(f"Deleted what was counted of {store.clear()} suggestions in {store.path}.", file=sys.stderr)
    return 0


def _show(summary: Summary, parsed: argparse.Namespace) -> None:
    from fim_lsp.feedback.plot import draw

    if parsed.json:
        print(json.dumps(as_json(summary), indent=2))
    else:
        _print(summary)
    if parsed.plot is not None:
        draw(summary, parsed.plot)
        print(f"Drawn: {parsed.plot}", file=sys.stderr)


def as_json(summary: Summary) -> dict[str, Any]:
    """Return the summary with camelCase keys; days as dates, rates from 0 to 1."""
    from fim_lsp.feedback.store import date_of

    return {
        "total": _figures(summary.total),
        "byLanguage": {name: _figures(figures) for name, figures in summary.by_language.items()},
        "byModel": {name: _figures(figures) for name, figures in summary.by_model.items()},
        "byServer": {name: _figures(figures) for name, figures in summary.by_server.items()},
        "savedByDay": {date_of(day).isoformat(): chars for day, chars in summary.saved_by_day.items()},
    }


def _figures(figures: Statistics) -> dict[str, Any]:
    from attrs import asdict

    from fim_lsp.settings import camel_case

    kept = {
        str(after_s): {"known": persistence.known, "kept": persistence.kept, "rate": persistence.rate}
        for after_s, persistence in figures.persistence.items()
    }
    return {camel_case(key): value for key, value in asdict(figures).items()} | {"persistence": kept}


def _print(summary: Summary) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    console.print(_table(summary, _FARED))
    console.print()
    console.print(_table(summary, _AFTERWARDS))
    days = list(summary.saved_by_day.items())
    if days:
        last = days[-1][0]
        saved = [summary.saved_by_day.get(day, 0) for day in range(last - _SHOWN_DAYS + 1, last + 1)]
        console.print(
            f"\nCharacters saved a day, {_SHOWN_DAYS} days: {sparkline(saved)}  most {max(saved):,}"
        )
    console.print(
        "[dim]Seen: on screen for at least 0.75 s; acceptance is of these, in whole or in part.\n"
        "Kept: two thirds of the accepted text were still there so much later.\n"
        "Kept rate: share of the accepted characters that were still there when last measured.[/]"
    )


_FARED: Mapping[str, Any] = {
    "offered": lambda figures: f"{figures.offered:,}",
    "seen": lambda figures: f"{figures.seen:,}",
    "accepted": lambda figures: f"{figures.accepted:,}",
    "partly": lambda figures: f"{figures.partly_accepted:,}",
    "typed": lambda figures: f"{figures.typed:,}",
    "acceptance": lambda figures: percent(figures.acceptance),
    "": lambda figures: bar(figures.acceptance),
}
_AFTERWARDS: Mapping[str, Any] = {
    "kept 30 s": lambda figures: percent(figures.persistence[30].rate),
    "2 min": lambda figures: percent(figures.persistence[120].rate),
    "5 min": lambda figures: percent(figures.persistence[300].rate),
    "10 min": lambda figures: percent(figures.persistence[600].rate),
    "kept rate": lambda figures: percent(figures.kept_rate),
    "saved": lambda figures: f"{figures.chars_saved:,}",
    "of code": lambda figures: percent(figures.completed_ratio),
    "ms p50": lambda figures: milliseconds(figures.latency_p50_ms),
    "p95": lambda figures: milliseconds(figures.latency_p95_ms),
}


def _table(summary: Summary, columns: Mapping[str, Any]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", overflow="fold")
    for heading in columns:
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)

    def add(name: str, figures: Statistics) -> None:
        table.add_row(escape(name), *(show(figures) for show in columns.values()))

    add("all", summary.total)
    for groups in (summary.by_language, summary.by_model):
        table.add_row()
        for name, figures in groups.items():
            add(name, figures)
    return table


def percent(rate: float | None) -> str:
    """Format a rate: ``0.25`` -> ``25%``. None becomes a dash."""
    return "-" if rate is None else f"{100 * rate:.0f}%"


def milliseconds(value: float | None) -> str:
    """Format whole milliseconds. None becomes a dash."""
    return "-" if value is None else f"{value:,.0f}"


def bar(rate: float | None, width: int = 10) -> str:
    """Draw a bar that a rate of 1 fills."""
    return "" if rate is None else "█" * round(rate * width) or "▏"


def sparkline(values: list[int]) -> str:
    """Draw one character for each value, as high as its share of the largest."""
    largest = max(values, default=0)
    return "".join(
        _BARS[round(value / largest * (len(_BARS) - 1))] if largest else _BARS[0] for value in values
    )
