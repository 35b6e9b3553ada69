"""The results of a run, kept hole by hole so that an interrupted run continues, and their metrics."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from attrs import asdict, frozen

from benchmarks.quality.holes import QualityHole
from benchmarks.quality.typist import ShownText, Typing
from fim_lsp.code.cursor import CursorContext
from fim_lsp.code.syntax import count_syntax_errors
from fim_lsp.types import CompletionRequest, DocumentSnapshot
from training.evaluate.metrics import (
    Interval,
    WeightedTotal,
    difference,
    edit_similarity,
    exact_match,
    interval,
)

TITLES: Mapping[str, str] = MappingProxyType(
    {
        "exact_match": "exact, %",
        "first_line": "first line right, %",
        "edit_similarity": "edit similarity",
        "offered": "offered, %",
        "offered_where_complete": "offered where complete, %",
        "syntax_kept": "parses as before, %",
        "chars_saved": "characters saved per 1,000",
        "wrong_offers": "wrong offers per 1,000",
        "latency_ms": "latency ms",
    }
)
"""The metrics and their titles in the table."""


@frozen
class HoleResult:
    """What one arm showed in one hole, and what became of its typing."""

    arm: str
    hole: str
    kind: str
    repository: str
    text: str
    """What was shown first; empty for nothing."""
    replaced: int
    waited_ms: float
    syntax_errors: int
    """Syntax errors around the cursor after accepting, less those of the true text."""
    typing: Typing | None = None
    """None where nothing was typed."""


def make_result(
    arm: str, hole: QualityHole, shown: ShownText, waited_ms: float, typing: Typing | None
) -> HoleResult:
    """Return the result of a hole."""
    document = DocumentSnapshot(f"file:///{hole.path}", hole.language, 1, hole.prefix + hole.suffix)
    context = CursorContext.of(CompletionRequest(document, len(hole.prefix)))
    more = count_syntax_errors(context, shown.text, shown.replaced) - count_syntax_errors(
        context, hole.middle
    )
    return HoleResult(
        arm, hole.name, hole.kind, hole.repository, shown.text, shown.replaced, waited_ms, more, typing
    )


def read_results(file: Path) -> list[HoleResult]:
    """Return the results so far; none if there is no file. An unfinished last line is left out."""
    if not file.is_file():
        return []
    found = []
    for line in file.read_text(encoding="utf-8").split("\n"):
        if line.endswith("}"):
            value = json.loads(line)
            typing = Typing(**value.pop("typing")) if value["typing"] else value.pop("typing")
            found.append(HoleResult(**value, typing=typing))
    return found


def append_result(file: Path, result: HoleResult) -> None:
    """Add a result to the file."""
    with file.open("a", encoding="utf-8") as lines:
        print(json.dumps(asdict(result)), file=lines)


def measure(result: HoleResult, hole: QualityHole) -> dict[str, WeightedTotal]:
    """Return the metrics of one result, by name; those that do not apply are missing."""
    text = result.text.removesuffix(hole.suffix[: result.replaced]) if result.replaced else result.text
    offered = 100.0 * bool(text.strip())
    if hole.kind == "complete":
        return {"offered_where_complete": (offered, 1.0)}
    measured: dict[str, WeightedTotal] = {
        "exact_match": (100.0 * exact_match(text, hole.middle), 1.0),
        "first_line": (100.0 * (text.partition("\n")[0] == hole.middle.partition("\n")[0]), 1.0),
        "edit_similarity": (edit_similarity(text, hole.middle), 1.0),
        "offered": (offered, 1.0),
        "latency_ms": (result.waited_ms, 1.0),
    }
    if offered:
        measured["syntax_kept"] = (100.0 * (result.syntax_errors <= 0), 1.0)
    if result.typing is not None:
        characters = result.typing.characters / 1000
        measured["chars_saved"] = (float(result.typing.saved), characters)
        measured["wrong_offers"] = (float(result.typing.wrong), characters)
    return measured


def arm_figures(results: Iterable[HoleResult], holes: Mapping[str, QualityHole], seed: int) -> dict[str, Any]:
    """Return an arm's figures: ``n``, and value, low and high of each metric."""
    measured = [measure(result, holes[result.hole]) for result in results]
    figures: dict[str, Any] = {"n": len(measured)}
    for name in TITLES:
        figures[name] = asdict(interval([one[name] for one in measured if name in one], seed))
    return figures


def paired_figures(
    arm: Iterable[HoleResult], base: Iterable[HoleResult], holes: Mapping[str, QualityHole], seed: int
) -> dict[str, Any]:
    """Return ``arm`` minus ``base`` over the holes that both filled, with intervals."""
    others = {result.hole: measure(result, holes[result.hole]) for result in base}
    pairs = [
        (measure(result, holes[result.hole]), others[result.hole]) for result in arm if result.hole in others
    ]
    figures: dict[str, Any] = {"n": len(pairs)}
    for name in TITLES:
        both = [(one[name], other[name]) for one, other in pairs if name in one and name in other]
        apart = difference([one for one, _ in both], [other for _, other in both], seed)
        figures[name] = asdict(apart) | {"decided": apart.decided}
    return figures


def as_interval(figure: Mapping[str, Any]) -> Interval:
    """Return a figure of the JSON file as an interval."""
    return Interval(figure["value"], figure["low"], figure["high"])
