"""Turn answers into figures: paired differences between kept and new prompts, with intervals."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from benchmarks.staleness.cases import EXACT
from benchmarks.staleness.filling import CaseAnswer
from training.evaluate.infilling import EvaluationHole
from training.evaluate.metrics import (
    Interval,
    WeightedTotal,
    difference,
    edit_similarity,
    exact_match,
    interval,
)

_EDGES = (1, 40, 200, 700)


@frozen
class Pair:
    """The answers to a hole behind a kept prompt and behind a new one."""

    hole: EvaluationHole
    kept: CaseAnswer
    exact: CaseAnswer


def figures(holes: Sequence[EvaluationHole], answers: Mapping[str, Sequence[CaseAnswer]]) -> dict[str, Any]:
    """Return all figures as plain values.

    Args:
        holes: the holes that were answered.
        answers: by arm, an answer for each hole, in their order.
    """
    exact = answers[EXACT]
    pairs = [
        Pair(*each)
        for arm, answered in answers.items()
        if arm != EXACT
        for each in zip(holes, answered, exact, strict=True)
    ]
    # Cases in which a new prompt was needed are left out.
    held = [pair for pair in pairs if pair.kept.held]
    bands = {
        f"{low} to {high}": [pair for pair in held if low <= pair.kept.distance < high]
        for low, high in pairwise(_EDGES)
    }
    return {
        "holes": len(holes),
        "exact": {
            "exact_match": _plain(interval(_exact(holes, exact))),
            "edit_similarity": _plain(interval(_similar(holes, exact))),
            "evaluated": statistics.median(answer.evaluated for answer in exact),
        },
        "kept": {name: _paired(band) for name, band in {**bands, "all": held}.items() if band},
    }


def _paired(pairs: Sequence[Pair]) -> dict[str, Any]:
    holes = [pair.hole for pair in pairs]
    kept, exact = [pair.kept for pair in pairs], [pair.exact for pair in pairs]
    return {
        "n": len(pairs),
        "exact_match": _plain(difference(_exact(holes, kept), _exact(holes, exact))),
        "edit_similarity": _plain(difference(_similar(holes, kept), _similar(holes, exact))),
        "same_text": round(100 * statistics.mean(pair.kept.shown == pair.exact.shown for pair in pairs), 1),
        "evaluated": statistics.median(answer.evaluated for answer in kept),
    }


def _exact(holes: Sequence[EvaluationHole], answers: Sequence[CaseAnswer]) -> list[WeightedTotal]:
    answered = zip(holes, answers, strict=True)
    return [(100.0 * exact_match(answer.shown, hole.middle), 1.0) for hole, answer in answered]


def _similar(holes: Sequence[EvaluationHole], answers: Sequence[CaseAnswer]) -> list[WeightedTotal]:
    answered = zip(holes, answers, strict=True)
    return [(edit_similarity(answer.shown, hole.middle), 1.0) for hole, answer in answered]


def _plain(value: Interval) -> dict[str, float | None]:
    return {key: None if number is None else round(number, 2) for key, number in asdict(value).items()}


def markdown(found: Mapping[str, Any]) -> str:
    """Return a table of the differences between kept and new prompts, by distance."""
    exact = found["exact"]
    lines = [
        f"{found['model']} ({found['order']}), {found['holes']} holes, prompts of {found['prompt_tokens']} "
        f"tokens, {found['prefix_share']:.0%} of them before the cursor. Exact: "
        f"{_spread(exact['exact_match'])} exact match, {_spread(exact['edit_similarity'])} edit similarity, "
        f"{exact['evaluated']:g} tokens evaluated.",
        "",
        "| characters since it was made | pairs | exact match | edit similarity | same text | evaluated |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in found["kept"].items():
        cells = (
            name,
            row["n"],
            _spread(row["exact_match"], signed=True),
            _spread(row["edit_similarity"], signed=True),
            f"{row['same_text']}%",
            f"{row['evaluated']:g}",
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join([*lines, ""])


def _spread(value: Mapping[str, float | None], *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    return f"{value['value']:{sign}.1f} ({value['low']:{sign}.1f} to {value['high']:{sign}.1f})"


def write_report(found: Mapping[str, Any], folder: Path, name: str) -> tuple[Path, Path]:
    """Write ``NAME.json`` and ``NAME.md``; return their paths."""
    data, table = folder / f"{name}.json", folder / f"{name}.md"
    data.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    table.write_text(markdown(found), encoding="utf-8")
    return data, table
