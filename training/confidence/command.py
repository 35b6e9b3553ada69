"""``python -m training confidence``: collect suggestions, fit the model that hides unlikely ones, report.

``collect`` needs the default model and time; it goes on where it was stopped. ``fit`` and ``report`` read
what was collected and take seconds::

    python -m training confidence collect fit.jsonl --repo sources/click --repo sources/ramda --holes 30
    python -m training confidence fit fit.jsonl --sources sources
    python -m training confidence report other.jsonl --sources sources
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from training.confidence import ConfidenceError

if TYPE_CHECKING:
    from fim_lsp.completion.showing.chance import ChanceModel
    from fim_lsp.completion.showing.places import Place
    from training.confidence.examples import Shown
    from training.confidence.positions import CursorPosition
    from training.confidence.report import LeastChance

_LEAST = (0.0, 0.05, 0.1, 0.15, 0.2, 0.35, 0.5)
"""Thresholds that the report lists, besides those of each eagerness."""
_SETTINGS: dict[str, Any] = {
    "model": {"kvStateMb": 0},
    "completion": {
        # What is written must not depend on what was written or hidden before.
        "eagerness": "eager",
        "oneLineFirst": True,
        "cacheSize": 0,
        "prefetch": False,
        "debounceMaxMs": 0,
    },
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the three steps and their flags."""
    steps = parser.add_subparsers(dest="step", metavar="STEP", required=True)
    collecting = steps.add_parser("collect", help="let the server suggest in repositories, and keep the text")
    collecting.add_argument("samples", type=Path, help="JSON lines file to add to")
    collecting.add_argument("--repo", type=Path, action="append", required=True, help="a folder of code")
    collecting.add_argument("--holes", type=int, default=30, help="holes in each repository")
    collecting.add_argument("--seed", type=int, default=7, help="decides the places")
    collecting.add_argument("--model", default="default", help="name or file of the model")
    collecting.add_argument("--threads", type=int, default=1, help="CPU threads")
    collecting.add_argument("--seconds", type=float, default=3600.0, help="time to spend")
    fitting = steps.add_parser("fit", help="fit the weights that ship with the server")
    reporting = steps.add_parser("report", help="measure the weights on samples that they were not fitted on")
    for step in (fitting, reporting):
        step.add_argument("samples", type=Path, nargs="+", help="files that collect wrote")
        step.add_argument(
            "--sources", type=Path, required=True, help="the folder that holds the repositories"
        )
    fitting.add_argument("--output", type=Path, help="file of weights; that of this package by default")
    reporting.add_argument("--weights", type=Path, help="file of weights; that of this package by default")
    reporting.add_argument("--plot", type=Path, help="draw the reliability plot: .png, .svg or .pdf")


def run(parsed: argparse.Namespace) -> int:
    """Run one step."""
    return {"collect": _collect, "fit": _fit, "report": _report}[parsed.step](parsed)


def _collect(parsed: argparse.Namespace) -> int:
    from fim_lsp.strict import merge
    from training.confidence.collect import collect

    holes = [_positions(root, parsed.holes, parsed.seed) for root in parsed.repo]
    turns = zip_longest(*holes, fillvalue=())
    in_turn = [hole for turn in turns for hole in turn if hole]
    settings = merge(_SETTINGS, {"model": {"name": parsed.model, "threads": parsed.threads}})
    left = collect(in_turn, parsed.samples, settings, parsed.seconds)
    print(f"{left} positions are left." if left else "All positions are collected.")
    return 0


def _positions(root: Path, holes: int, seed: int) -> tuple[tuple[CursorPosition, ...], ...]:
    from training.confidence.positions import choose_positions
    from training.evaluate.cuts import source_files

    files = source_files(root)
    if not files:
        raise ConfidenceError(f"There is no code in {root}.", "Give a folder with code.")
    return choose_positions(files, holes, seed)


def _fit(parsed: argparse.Namespace) -> int:
    from fim_lsp.completion.showing import chance
    from fim_lsp.files import write_text_atomically
    from training.confidence.examples import examples_of
    from training.confidence.fit import as_json, fit

    shown = _read(parsed.samples, parsed.sources)
    model = fit([example for each in shown for example in examples_of(each)])
    output = parsed.output or Path(chance.__file__).with_name(chance.WEIGHTS)
    write_text_atomically(output, as_json(model, len(shown), sorted({each.sample.source for each in shown})))
    print(f"Fitted on {len(shown)} suggestions: {output}")
    return 0


def _report(parsed: argparse.Namespace) -> int:
    from training.confidence.report import (
        calibrate,
        calibration_error,
        discrimination,
        draw,
        measure_hiding,
    )

    shown = _read(parsed.samples, parsed.sources)
    model = _model(parsed.weights)
    bins = calibrate(shown, model)
    print(f"{len(shown)} suggestions; AUC {discrimination(shown, model):.3f}", end="; ")
    print(f"mean distance of estimate and outcome {calibration_error(bins):.3f}\n")
    print("| least chance | kept characters lost | gained by cuts | wrong hidden | offered where complete |")
    print("|---|---|---|---|---|")
    for name, least in _thresholds():
        figures = measure_hiding(shown, model, least)
        rates = (figures.lost, figures.gained, figures.hidden, figures.offered_where_complete)
        print(f"| {name} | " + " | ".join(f"{100 * rate:.1f}%" for rate in rates) + " |")
    print(f"\nRight: {figures.right}. Wrong: {figures.wrong}, where nothing is missing: {figures.complete}.")
    print("\n| estimated | right | suggestions |\n|---|---|---|")
    for each in bins:
        print(f"| {each.estimated:.3f} | {each.right:.3f} | {each.count} |")
    if parsed.plot:
        draw(bins, parsed.plot)
    return 0


def _thresholds() -> Iterator[tuple[str, LeastChance]]:
    from fim_lsp.completion.showing.eagerness import rules_for
    from fim_lsp.completion.showing.places import least_chance
    from fim_lsp.showing_settings import Eagerness, ShowingSettings

    for least in _LEAST:
        yield f"{least:g}", partial(_constant, least)
    for name in get_args(Eagerness):
        rules = rules_for(ShowingSettings(eagerness=name))
        yield name, partial(least_chance, rules=rules)


def _constant(least: float, _: Place) -> float:
    return least


def _read(files: Sequence[Path], sources: Path) -> list[Shown]:
    """Read samples, each position once: a collection that was stopped may hold one twice."""
    from training.confidence.collect import read_samples
    from training.confidence.examples import read_shown

    samples = {sample.key: sample for file in files for sample in read_samples(file)}
    shown = list(read_shown(samples.values(), sources))
    if not shown:
        raise ConfidenceError("The samples hold no suggestion.", "Collect more of them.")
    return shown


def _model(weights: Path | None) -> ChanceModel:
    from fim_lsp.completion.showing.chance import default_model, read_model

    return default_model() if weights is None else read_model(weights.read_text(encoding="utf-8"))
