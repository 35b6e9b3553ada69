"""``fim-lsp stats --compare``: the two arms of an experiment, with intervals that hold at any day."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fim_lsp.feedback.comparison import ArmComparison, Difference, Rate
    from fim_lsp.feedback.store import SuggestionRecord


def compare(records: Sequence[SuggestionRecord], experiment: str, *, as_json: bool) -> int:
    """Print the comparison of an experiment's arms. Return 1 if there is nothing to compare."""
    from fim_lsp.feedback.comparison import compare_arms, experiments

    known = experiments(records)
    name = experiment or (known[-1] if known else "")
    comparison = compare_arms(records, name)
    if comparison is None:
        names = f" Known are: {', '.join(known)}." if known else " Set one up with the setting experiment."
        print(f"No two arms of an experiment {name!r} were recorded.{names}", file=sys.stderr)
        return 1
    if as_json:
        print(json.dumps(to_json(comparison), indent=2))
    else:
        _print(comparison)
    return 0


def to_json(comparison: ArmComparison) -> dict[str, Any]:
    """Return every figure, with null where there is too little data."""
    from attrs import asdict

    return {
        "experiment": comparison.experiment,
        "first": comparison.first,
        "second": comparison.second,
        "differences": [
            {**asdict(difference), "decided": difference.decided} for difference in comparison.differences
        ],
        "latencyMs": {
            comparison.first: dict(zip(("p50", "p95"), comparison.latency_ms[0], strict=True)),
            comparison.second: dict(zip(("p50", "p95"), comparison.latency_ms[1], strict=True)),
        },
    }


def _print(comparison: ArmComparison) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from fim_lsp.feedback.comparison import FEWEST_BUCKETS

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in (
        comparison.experiment,
        comparison.first,
        comparison.second,
        "difference",
        "95%",
        "verdict",
    ):
        table.add_column(escape(heading), justify="left" if heading == comparison.experiment else "right")
    for difference in comparison.differences:
        table.add_row(
            difference.name,
            _rate(difference, difference.first),
            _rate(difference, difference.second),
            _signed(difference, difference.value),
            f"{_signed(difference, difference.low)} to {_signed(difference, difference.high)}",
            _verdict(difference),
        )
    for label, index in (("latency, p50 ms", 0), ("latency, p95 ms", 1)):
        first, second = (arm[index] for arm in comparison.latency_ms)
        table.add_row(label, f"{first:.0f}", f"{second:.0f}", "", "", "")
    console.print(table)
    console.print(
        "[dim]The intervals hold at all times together: look at any day, and stop when you like. A verdict "
        f"needs {FEWEST_BUCKETS} groups of documents in each arm.[/]"
    )


def _rate(difference: Difference, rate: Rate | None) -> str:
    return "-" if rate is None else f"{_value(difference, rate.value)} of {rate.count:,.0f}"


def _value(difference: Difference, value: float) -> str:
    """Format a rate as per cent and milliseconds as they are."""
    return f"{value:.0f}" if difference.name.endswith("ms") else f"{100 * value:.1f}%"


def _signed(difference: Difference, value: float | None) -> str:
    """Format a difference with its sign; a dash for none."""
    if value is None:
        return "-"
    return ("+" if value >= 0 else "") + _value(difference, value)


def _verdict(difference: Difference) -> str:
    if difference.p_value is None:
        return "too early"
    return f"different, p = {difference.p_value:.3g}" if difference.decided else "no difference seen"
