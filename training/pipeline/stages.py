"""The stages of a run: each does its work, and returns what it came to and the files that prove it.

:mod:`training.pipeline.run` takes them one after the other; here is what each of them asks of the package.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from fim_lsp.errors import FimLspError
from fim_lsp.files import lack_of_room
from training.config import Recipe
from training.pipeline.plan import MOST_HOLES, Plan
from training.pipeline.verdict import BASE, TUNED

if TYPE_CHECKING:
    from rich.console import Console

    from training.bases import Base
    from training.evaluate.arms import Arm
    from training.evaluate.infilling import EvaluationHole

_HOLES = "holes.jsonl"
TRIED_HOLES = 8
"""Filled by the base before anything is planned."""
_EVALUATIONS = 6
"""Of held-out rows while training; the best adapter of them is kept."""
_EVALUATION_ROWS = 64
_ROOM = 8
"""A run's folder against the base's file: checkpoints, the merged model in three formats, and a margin."""
_MAX_ANSWER, _OVERRUN = 128, 16
_PLAIN_TEXTS = 6


class RunError(FimLspError):
    """A run that can't begin, or that can't be used as asked."""


@frozen
class RunOptions:
    """What to train on, and how long."""

    repositories: tuple[Path, ...]
    base: Path
    """A GGUF."""
    minutes: float
    output: Path
    recipe: Recipe
    processes: int | None = None
    pass_tokens: int = 1024
    cpu: bool = False


Done = tuple[Mapping[str, Any], Sequence[Path]]


def prepare_data(options: RunOptions, base: Base, console: Console) -> Done:
    """Make the data set, and cut the holes that the model will be judged by, from the code as it stands."""
    from training.data.corpus import build_corpus
    from training.data.prepare import ProgressBars, prepare
    from training.data.sources import open_sources
    from training.evaluate.cuts import cut_files
    from training.evaluate.hole_file import write_holes
    from training.train.base_model import prepare_weights

    # Converted now, so that an architecture that nobody can train is found out first.
    prepare_weights(str(options.base), on_step=console.print)
    folder, settings = options.output / "data", options.recipe.data
    sources = open_sources(options.repositories, own=True)
    with ProgressBars(console) as bars:
        # Read once for rows and holes: the code may be edited meanwhile.
        corpus = build_corpus(sources, settings, (), bars.show)
        dataset = prepare(sources, base, options.recipe, folder, on_progress=bars.show, corpus=corpus)
    if not len(dataset.held_out):
        raise RunError(
            f"There is too little code to hold some back: {dataset.manifest['files']['train']} files, "
            f"{len(dataset.train)} rows. Whether training helps could not be told.",
            "Add another repository with --repo.",
        )
    names = ", ".join(source.name for source in sources)
    holes = cut_files(corpus.held_out, f"{names}, held out", MOST_HOLES, settings.seed)
    write_holes(folder / _HOLES, holes)
    counts = {"rows": len(dataset.train), "held_out_rows": len(dataset.held_out), "holes": len(holes)}
    console.print("  " + ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items()))
    return counts, (folder / "manifest.json", folder / _HOLES, *sorted(folder.glob("*/*.npy")))


def try_base(options: RunOptions, console: Console) -> Done:
    """Let the base fill the first holes; what one costs is measured on those that a killed run left."""
    holes = _holes(options)[:TRIED_HOLES]
    answered, began = _answered(options), monotonic()
    _fill(options, (_arm(BASE, options.base, options),), holes, 0, console)
    hole_seconds = (monotonic() - began) / max(1, _answered(options) - answered)
    result = {"holes": len(holes), "hole_seconds": round(hole_seconds, 2)}
    return result, (options.output / "data" / _HOLES,)


def train_adapter(options: RunOptions, plan: Plan) -> Done:
    """Train for the planned time, on from the last checkpoint."""
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


def export_model(options: RunOptions, console: Console) -> Done:
    """Write the tuned model as a GGUF, and as a LoRA-GGUF where it can be one."""
    from fim_lsp.models.adapter_file import read_adapter
    from training.export.export import ExportOptions, export
    from training.export.lora_gguf import refusal

    adapter, folder = options.output / "train" / "adapter", options.output / "model"
    for left in folder.glob(".export-*"):
        shutil.rmtree(left, ignore_errors=True)
    lora = () if refusal(read_adapter(adapter)) else ("lora",)
    formats = ("q8_0", *lora, "modelfile")
    exported = export(
        ExportOptions(adapter, options.base, folder, formats, _name(options)),
        lambda step: console.print(f"  {step}"),
    )
    return {"parity": [str(parity) for parity in exported.parities]}, tuple(exported.files.values())


def judge_model(options: RunOptions, plan: Plan, console: Console) -> Done:
    """Compare the tuned model with its base."""
    from training.evaluate.tables import main_tables, rich_table
    from training.pipeline.verdict import judge

    arms = (_arm(BASE, options.base, options), _arm(TUNED, model_path(options), options))
    report = _fill(options, arms, _holes(options)[: plan.holes], _PLAIN_TEXTS, console)
    for table in main_tables(report):
        console.print(rich_table(table))
    proof = options.output / "report" / "report.json"
    return {"verdict": attrs.asdict(judge(report))}, (proof,)


def check_room(options: RunOptions) -> None:
    """Refuse to begin what the disk can't hold."""
    needed = _ROOM * options.base.stat().st_size
    problem = lack_of_room(options.output, needed, "a run on this base")
    if problem is not None:
        raise RunError(problem, "Free some room, or name another --output.")


def _answered(options: RunOptions) -> int:
    """Answers in the report's journal."""
    journal = options.output / "report" / "answers.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def _holes(options: RunOptions) -> tuple[EvaluationHole, ...]:
    from training.evaluate.hole_file import read_holes

    return read_holes(options.output / "data" / _HOLES)


def _arm(name: str, model: Path, options: RunOptions) -> Arm:
    """A model as the server would serve it, with all cores and prompts as long as the rows trained on."""
    import psutil

    from training.evaluate.arms import Arm

    threads = psutil.cpu_count(logical=False) or 1
    length = {"maxTokens": options.recipe.data.max_tokens}
    return Arm(name, str(model), {"model": {"threads": threads}, "prompt": length})


def _fill(
    options: RunOptions,
    arms: Sequence[Arm],
    holes: tuple[EvaluationHole, ...],
    plain_texts: int,
    console: Console,
) -> dict[str, Any]:
    from training.evaluate.command import EvaluateOptions, judge

    how = EvaluateOptions(
        options.output / "report",
        max_tokens=_MAX_ANSWER,
        overrun=_OVERRUN,
        nll=True,
        plain_texts=plain_texts,
        seed=options.recipe.data.seed,
    )
    return judge(arms, holes, how, console)


def _name(options: RunOptions) -> str:
    return f"{options.repositories[0].resolve().name}-tuned"


def model_path(options: RunOptions) -> Path:
    """Where the tuned model is, or will be."""
    return options.output / "model" / f"{'-'.join(_name(options).split())}-q8_0.gguf"
