"""Write the figures as JSON and as a table, and draw them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.quality.arms import ARMS
from benchmarks.quality.holes import QualityHole
from benchmarks.quality.results import TITLES, HoleResult, arm_figures, as_interval, paired_figures
from training.evaluate.metrics import Interval


def compute_figures(
    results: Sequence[HoleResult], holes: Mapping[str, QualityHole], about: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    """Return all figures: of each arm, and of each pair of arms.

    Args:
        results: of any arms; those of holes that are not given are left out.
        holes: by their names.
        about: the run's conditions.
        seed: of the bootstrap.
    """
    by_arm: dict[str, list[HoleResult]] = {}
    for result in results:
        if result.hole in holes:
            by_arm.setdefault(result.arm, []).append(result)
    names = sorted(by_arm, key=_rank)
    return {
        "about": {**about, "code": ", ".join(sorted({result.code for result in results} - {""}))},
        "arms": {name: arm_figures(by_arm[name], holes, seed) for name in names},
        "paired": {
            f"{name} - {base}": paired_figures(by_arm[name], by_arm[base], holes, seed)
            for name in names
            for base in names
            if name != base
        },
    }


def _rank(name: str) -> tuple[int, str]:
    """Return the place of an arm in the tables: as :data:`ARMS` lists them, unknown names behind."""
    base = name.partition("+")[0]
    return (list(ARMS).index(base) if base in ARMS else len(ARMS), name)


def write_report(figures: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write ``quality.json`` and ``quality.md``, and ``quality.svg`` where matplotlib can draw it."""
    folder.mkdir(parents=True, exist_ok=True)
    document, table = folder / "quality.json", folder / "quality.md"
    document.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    table.write_text(markdown(figures), encoding="utf-8")
    written = [document, table]
    if find_spec("matplotlib") is None:
        return written
    plot = folder / "quality.svg"
    try:
        _draw(figures["arms"], plot)
    except Exception as error:  # A plot must not end a run whose figures are written.
        print(f"No plot: {error}", file=sys.stderr)
        return written
    return [*written, plot]


def markdown(figures: Mapping[str, Any]) -> str:
    """Return a table of the arms, and one of each arm minus those before it; metrics are rows."""
    names = list(figures["arms"])
    pairs = [f"{arm} - {base}" for index, base in enumerate(names) for arm in names[index + 1 :]]
    about = "; ".join(f"{key} {value}" for key, value in figures["about"].items())
    tables = [_grid("", figures["arms"], names)]
    if pairs:
        tables.append(_grid("difference", figures["paired"], pairs, sign=True))
    return "\n".join([*(line for table in tables for line in (*table, "")), f"({about})", ""])


def _grid(
    title: str, figures: Mapping[str, Any], names: Sequence[str], *, sign: bool = False
) -> Sequence[str]:
    """Return a table with a column for each name, without the metrics that none of them has."""
    rows = [["holes", *(str(figures[name]["n"]) for name in names)]]
    for metric, heading in TITLES.items():
        words = [_words(as_interval(figures[name][metric]), sign=sign) for name in names]
        if any(words):
            rows.append([heading, *words])
    return _table([title, *names], rows)


def _words(interval: Interval, *, sign: bool = False) -> str:
    if interval.value is None or interval.low is None or interval.high is None:
        return ""
    form = "+.1f" if sign else ".1f"
    words = f"{interval.value:{form}} ({interval.low:{form}}, {interval.high:{form}})"
    return f"**{words}**" if sign and interval.decided else words


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _draw(arms: Mapping[str, Any], file: Path) -> None:
    from matplotlib.figure import Figure

    shown = ("exact_match", "edit_similarity", "chars_saved", "wrong_offers")
    figure = Figure(figsize=(11, 0.6 + 0.45 * len(arms)), layout="constrained")
    for axes, metric in zip(figure.subplots(1, len(shown), sharey=True), shown, strict=True):
        for row, own in enumerate(arms.values()):
            interval = as_interval(own[metric])
            if interval.value is not None and interval.low is not None and interval.high is not None:
                spread = [[interval.value - interval.low], [interval.high - interval.value]]
                axes.errorbar([interval.value], [row], xerr=spread, fmt="o", capsize=3)
        axes.set_yticks(range(len(arms)), list(arms))
        axes.set_title(TITLES[metric], fontsize=9)
        axes.grid(axis="x", alpha=0.3)
    figure.savefig(file)
