"""The results of a run, kept hole by hole so that an interrupted run continues, and their metrics."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from attrs import asdict, frozen

from benchmarks.quality.holes import QualityHole
from benchmarks.quality.typist import ShownText, Typing, right_part
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

_FEWEST_CLUSTERS = 6
TITLES: Mapping[str, str] = MappingProxyType(
    {
        "exact_match": "exact, %",
        "first_line": "first line right, %",
        "edit_similarity": "edit similarity",
        "offered": "offered, %",
        "offered_where_complete": "offered where complete, %",
        "syntax_kept": "parses as before, %",
        "first_look_saved": "characters saved per 1,000, one look",
        "first_look_wrong": "wrong at the first look, %",
        "chars_saved": "characters saved per 1,000",
        "wrong_offers": "wrong offers per 1,000",
        "latency_ms": "latency ms",
    }
)
"""The metrics and their titles in the table."""


@frozen
class HoleResult:
    """The suggestion of one arm in one hole, and the outcome of its typing."""

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
    cold: bool = True
    """True if the prompt was not evaluated for another arm just before."""
    code: str = ""
    """Commit of the code that answered."""


def make_result(
    arm: str,
    hole: QualityHole,
    shown: ShownText,
    waited_ms: float,
    typing: Typing | None,
    *,
    cold: bool = True,
    code: str = "",
) -> HoleResult:
    """Return the result of a hole."""
    document = DocumentSnapshot(f"file:///{hole.path}", hole.language, 1, hole.prefix + hole.suffix)
    context = CursorContext.of(CompletionRequest(document, len(hole.prefix)))
    more = count_syntax_errors(context, shown.text, shown.replaced) - count_syntax_errors(
        context, hole.middle
    )
    return HoleResult(
        arm,
        hole.name,
        hole.kind,
        hole.repository,
        shown.text,
        shown.replaced,
        waited_ms,
        more,
        typing,
        cold,
        code,
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
    }
    if result.cold:
        measured["latency_ms"] = (result.waited_ms, 1.0)
    saved, wrong = _at_first_look(result, hole)
    characters = len(hole.middle) / 1000
    measured["first_look_saved"] = (float(saved), characters)
    measured["first_look_wrong"] = (100.0 * wrong, 1.0)
    if offered:
        measured["syntax_kept"] = (100.0 * (result.syntax_errors <= 0), 1.0)
    if result.typing is not None:
        characters = result.typing.characters / 1000
        measured["chars_saved"] = (float(result.typing.saved), characters)
        measured["wrong_offers"] = (float(result.typing.wrong), characters)
    return measured


def _at_first_look(result: HoleResult, hole: QualityHole) -> tuple[int, bool]:
    """Return the characters saved by a typist who looks once, and True if what was shown was wrong."""
    right = right_part(ShownText(result.text, result.replaced), hole.middle, hole.suffix)
    return max(0, right - 1), bool(result.text.strip()) and not right


def arm_figures(results: Iterable[HoleResult], holes: Mapping[str, QualityHole], seed: int) -> dict[str, Any]:
    """Return an arm's figures: ``n``, and value, low and high of each metric."""
    measured = [(result.repository, measure(result, holes[result.hole])) for result in results]
    figures: dict[str, Any] = {"n": len(measured)}
    for name in TITLES:
        totals = [(repository, one[name]) for repository, one in measured if name in one]
        figures[name] = asdict(interval(by_repository(totals), seed))
    return figures


def paired_figures(
    arm: Iterable[HoleResult], base: Iterable[HoleResult], holes: Mapping[str, QualityHole], seed: int
) -> dict[str, Any]:
    """Return ``arm`` minus ``base`` over the holes that both filled, with intervals."""
    others = {result.hole: measure(result, holes[result.hole]) for result in base}
    pairs = [
        (result.repository, measure(result, holes[result.hole]), others[result.hole])
        for result in arm
        if result.hole in others
    ]
    figures: dict[str, Any] = {"n": len(pairs)}
    for name in TITLES:
        both = [pair for pair in pairs if name in pair[1] and name in pair[2]]
        apart = difference(
            by_repository([(repository, one[name]) for repository, one, _ in both]),
            by_repository([(repository, other[name]) for repository, _, other in both]),
            seed,
        )
        figures[name] = asdict(apart) | {"decided": apart.decided}
    return figures


def by_repository(totals: Sequence[tuple[str, WeightedTotal]]) -> list[WeightedTotal]:
    """Add up the holes of each repository, so that the bootstrap draws repositories (a cluster bootstrap).

    Holes of one repository resemble each other: drawn one by one, they would make intervals too narrow. With
    few repositories the holes are drawn all the same.
    """
    sums: dict[str, WeightedTotal] = {}
    for repository, (total, weight) in totals:
        former = sums.get(repository, (0.0, 0.0))
        sums[repository] = (former[0] + total, former[1] + weight)
    return list(sums.values()) if len(sums) >= _FEWEST_CLUSTERS else [total for _, total in totals]


def as_interval(figure: Mapping[str, Any]) -> Interval:
    """Return a figure of the JSON file as an interval."""
    return Interval(figure["value"], figure["low"], figure["high"])
