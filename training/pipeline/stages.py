"""The stages of a run: each one does its work, and returns its result and the files that prove it.

:mod:`training.pipeline.run` runs them one after the other.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from fim_lsp.errors import FimLspError
from fim_lsp.files import lack_of_room
from training.config import Recipe
from training.pipeline.plan import MOST_HOLES, RunPlan
from training.pipeline.verdict import BASE, TUNED

if TYPE_CHECKING:
    from rich.console import Console

    from training.bases import Base
    from training.evaluate.arms import Arm
    from training.evaluate.infilling import EvaluationHole
    from training.record import StageResult

_HOLES = "holes.jsonl"
TRIED_HOLES = 8
"""Holes that the base fills before the run is planned."""
_EVALUATIONS = 6
"""Held-out evaluations while training; the best adapter of them is kept."""
_EVALUATION_ROWS = 64
_ROOM = 8
"""Room for a run, as a multiple of the base's file: checkpoints, the model in three formats, a margin."""
_MAX_ANSWER, _OVERRUN = 128, 16
"""Most tokens of an answer, and tokens in which a model may still end by itself after a stop rule."""
_PLAIN_TEXTS = 6


class RunError(FimLspError):
    """A run that can't begin, or whose model can't be used as asked."""


@frozen
class RunOptions:
    """The code to train on, the base and the time."""

    repositories: tuple[Path, ...]
    base: Path
    """A GGUF."""
    minutes: float
    output: Path
    recipe: Recipe
    processes: int | None = None
    pass_tokens: int = 1024
    cpu: bool = False


def prepare_data(options: RunOptions, base: Base, console: Console) -> StageResult:
    """Make the data set, and cut the holes to evaluate on, from the code as it is now."""
    from training.data.corpus import build_corpus
    from training.data.prepare import ProgressBars, prepare
    from training.data.sources import open_sources
    from training.evaluate.cuts import cut_files
    from training.evaluate.hole_file import write_holes
    from training.train.base_model import prepare_weights

    # The base is converted first, so that an architecture that can't be trained fails before the data is
    # made.
    prepare_weights(str(options.base), on_step=console.print)
    folder, settings = options.output / "data", options.recipe.data
    sources = open_sources(options.repositories, own=True)
    with ProgressBars(console) as bars:
        # The code is read once for rows and holes, because it may be edited meanwhile.
        corpus = build_corpus(sources, settings, (), bars.show)
        dataset = prepare(sources, base, options.recipe, folder, on_progress=bars.show, corpus=corpus)
    if not len(dataset.held_out):
        raise RunError(
            f"There is too little code to hold some back: {dataset.manifest['files']['train']} files, "
            f"{len(dataset.train)} rows. It would not be known whether training helps.",
            "Add another repository with --repo.",
        )
    names = ", ".join(source.name for source in sources)
    holes = cut_files(corpus.held_out, f"{names}, held out", MOST_HOLES, settings.seed)
    write_holes(folder / _HOLES, holes)
    counts = {"rows": len(dataset.train), "held_out_rows": len(dataset.held_out), "holes": len(holes)}
    console.print("  " + ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items()))
    return counts, (folder / "manifest.json", folder / _HOLES, *sorted(folder.glob("*/*.npy")))


def try_base(options: RunOptions, console: Console) -> StageResult:
    """Let the base fill the first holes, and measure the seconds for each hole that was not filled before."""
    holes = _read_holes(options)[:TRIED_HOLES]
    answers, began = _count_answers(options), monotonic()
    _fill_holes(options, (_arm(BASE, options.base, options),), holes, 0, console)
    hole_seconds = (monotonic() - began) / max(1, _count_answers(options) - answers)
    result = {"holes": len(holes), "hole_seconds": round(hole_seconds, 2)}
    return result, (options.output / "data" / _HOLES,)


def train_adapter(options: RunOptions, plan: RunPlan) -> StageResult:
    """Train for the planned time, from the last checkpoint if there is one."""
    from training.train.options import TrainOptions
    from training.train.processes import train_on_this_machine

    folder, minutes = options.output / "train", plan.train_seconds / 60
    train_options = TrainOptions(
        data=options.output / "data",
        base=str(options.base),
        output=folder,
        resume=True,
        pass_tokens=options.pass_tokens,
        eval_rows=_EVALUATION_ROWS,
        evaluations=_EVALUATIONS,
        checkpoints=max(_EVALUATIONS, round(minutes)),
        cpu=options.cpu,
    )
    recipe = attrs.evolve(options.recipe, train=attrs.evolve(options.recipe.train, minutes=minutes))
    train_on_this_machine(train_options, recipe, options.base.stat().st_size, options.processes)
    result = json.loads((folder / "run.json").read_text(encoding="utf-8"))["result"]
    return result, (folder / "adapter" / "adapter_model.safetensors",)


def export_model(options: RunOptions, console: Console) -> StageResult:
    """Write the tuned model as a GGUF, and as a LoRA-GGUF if it can be one."""
    from fim_lsp.models.adapter_file import read_adapter
    from training.export.export import ExportOptions, export
    from training.export.lora_gguf import find_problem

    adapter, folder = options.output / "train" / "adapter", options.output / "model"
    for leftover in folder.glob(".export-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    lora = () if find_problem(read_adapter(adapter)) else ("lora",)
    formats = ("q8_0", *lora, "modelfile")
    exported = export(
        ExportOptions(adapter, options.base, folder, formats, _model_name(options)),
        lambda step: console.print(f"  {step}"),
    )
    return {"parity": [str(parity) for parity in exported.parities]}, tuple(exported.files.values())


def evaluate_models(options: RunOptions, plan: RunPlan, console: Console) -> StageResult:
    """Compare the tuned model with its base on the planned number of holes."""
    from training.evaluate.tables import main_tables, rich_table
    from training.pipeline.verdict import compare_with_base

    arms = (_arm(BASE, options.base, options), _arm(TUNED, model_path(options), options))
    report = _fill_holes(options, arms, _read_holes(options)[: plan.holes], _PLAIN_TEXTS, console)
    for table in main_tables(report):
        console.print(rich_table(table))
    report_file = options.output / "report" / "report.json"
    return {"verdict": attrs.asdict(compare_with_base(report))}, (report_file,)


def check_room(options: RunOptions) -> None:
    """Refuse to begin if the disk can't hold the run.

    Raises:
        RunError: there is too little room.
    """
    needed = _ROOM * options.base.stat().st_size
    problem = lack_of_room(options.output, needed, "a run on this base")
    if problem is not None:
        raise RunError(problem, "Free some room, or name another --output.")


def model_path(options: RunOptions) -> Path:
    """Return the path of the tuned model, which need not exist yet."""
    return options.output / "model" / f"{'-'.join(_model_name(options).split())}-q8_0.gguf"


def _model_name(options: RunOptions) -> str:
    return f"{options.repositories[0].resolve().name}-tuned"


def _count_answers(options: RunOptions) -> int:
    """Return the number of answers that the evaluation has written so far."""
    answers = options.output / "report" / "answers.jsonl"
    return answers.read_bytes().count(b"\n") if answers.exists() else 0


def _read_holes(options: RunOptions) -> tuple[EvaluationHole, ...]:
    from training.evaluate.hole_file import read_holes

    return read_holes(options.output / "data" / _HOLES)


def _arm(name: str, model: Path, options: RunOptions) -> Arm:
    """Return a model as the server would run it, on all cores, with prompts as long as the training rows."""
    import psutil

    from training.evaluate.arms import Arm

    threads = psutil.cpu_count(logical=False) or 1
    length = {"maxTokens": options.recipe.data.max_tokens}
    return Arm(name, str(model), {"model": {"threads": threads}, "prompt": length})


def _fill_holes(
    options: RunOptions,
    arms: Sequence[Arm],
    holes: tuple[EvaluationHole, ...],
    plain_texts: int,
    console: Console,
) -> dict[str, Any]:
    """Let each model fill the holes, and return the report; score at most ``plain_texts`` whole documents."""
    from training.evaluate.command import EvaluateOptions, compare_arms

    evaluate_options = EvaluateOptions(
        options.output / "report",
        max_tokens=_MAX_ANSWER,
        overrun=_OVERRUN,
        nll=True,
        plain_texts=plain_texts,
        seed=options.recipe.data.seed,
    )
    return compare_arms(arms, holes, evaluate_options, console)
