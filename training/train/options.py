"""The flags of ``python -m training train``, and what they become: options of the run, and the recipe."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Literal

import attrs
from attrs import frozen

from training.config import Recipe, make_recipe
from training.train.lora import METHODS, AdapterPlan, Method


@frozen
class TrainOptions:
    """Options of the machine and of one run; what decides the trained model is in the recipe."""

    data: Path
    base: str
    output: Path
    resume: bool = False
    method: Method | None = None
    """None: LoRA or rsLoRA, as the recipe says."""
    max_train_tokens: int | None = None
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    pass_tokens: int = 1024
    """Most tokens of a pass forward and backward; the memory needed depends on it."""
    gradient_checkpointing: bool = False
    qlora: bool = False
    keep: int = 2
    """Checkpoints that stay on the disk."""
    trackers: tuple[str, ...] = ()
    init_adapter: Path | None = None
    """Adapter whose weights the run begins with; None for new ones."""
    eval_rows: int = 128
    """Held-out rows of an evaluation."""
    evaluations: int | None = None
    """Held-out evaluations, spread evenly over the run; None: one every ``eval_every`` steps."""
    checkpoints: int | None = None
    """Checkpoints, spread evenly over the run; None: one every ``checkpoint_every`` steps."""
    weight_decay: float = 0.0
    clip: float = 1.0
    """Largest norm of a step's gradient."""
    cpu: bool = False
    """Use no GPU."""
    threads: int | None = None
    """CPU threads of a process; None for torch's choice."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's flags."""
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="the data set, made by prepare"
    )
    parser.add_argument(
        "--base",
        required=True,
        metavar="PATH|NAME",
        help="the model to train: a GGUF, a folder of safetensors, or a name of the catalog or the hub",
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder for the adapter and checkpoints"
    )
    parser.add_argument("--resume", action="store_true", help="continue from the newest checkpoint")
    parser.add_argument("--recipe", type=Path, metavar="FILE.toml", help="settings that replace defaults")
    parser.add_argument(
        "--stage",
        choices=("a", "b"),
        help="defaults to use: a teaches the format, b tunes on a repository (default: the data set's stage)",
    )
    _add_length_arguments(parser)
    _add_method_arguments(parser)
    _add_machine_arguments(parser)


def _add_length_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("length of the run")
    group.add_argument(
        "--minutes", type=float, metavar="N", help="approximate time, by the speed measured at the start"
    )
    group.add_argument("--max-tokens", type=int, metavar="N", help="tokens to train on")
    group.add_argument("--max-steps", type=int, metavar="N", help="optimiser steps")


def _add_method_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("method")
    group.add_argument("--method", choices=METHODS, help="kind of adapter (default: rslora)")
    group.add_argument("--rank", type=int, metavar="R", help="rank of the adapter")
    group.add_argument("--alpha", type=int, metavar="A", help="scale of the adapter")
    group.add_argument("--dropout", type=float, metavar="P", help="dropout of the adapter's input")
    group.add_argument("--lr", type=float, metavar="RATE", help="peak learning rate")
    group.add_argument("--batch-rows", type=int, metavar="N", help="rows of a step, over all processes")
    group.add_argument("--max-row-tokens", type=int, metavar="N", help="skip rows that are longer")
    group.add_argument("--seed", type=int, metavar="N", help="seed of the weights and of the order of rows")
    group.add_argument(
        "--patience", type=int, metavar="N", help="stop after N evaluations without improvement"
    )
    group.add_argument(
        "--init-adapter", type=Path, metavar="DIR", help="begin with the weights of this adapter"
    )
    group.add_argument("--weight-decay", type=float, metavar="W", help="weight decay of AdamW (default: 0)")


def _add_machine_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("machine")
    group.add_argument(
        "--precision",
        choices=("auto", "fp32", "bf16"),
        help="precision of the base (default: auto, which measures the faster one)",
    )
    group.add_argument(
        "--pass-tokens",
        type=int,
        metavar="N",
        help="tokens computed at once (default: 1024); more are faster on a GPU, fewer need less memory",
    )
    group.add_argument(
        "--gradient-checkpointing",
        action="store_true",
        default=None,
        help="need less memory and a third more time",
    )
    group.add_argument(
        "--qlora", action="store_true", default=None, help="load the base in 4 bits; needs a CUDA GPU"
    )
    group.add_argument("--cpu", action="store_true", default=None, help="use no GPU")
    group.add_argument("--threads", type=int, metavar="N", help="CPU threads of each process")
    group.add_argument("--checkpoint-every", type=int, metavar="STEPS", help="steps between checkpoints")
    group.add_argument("--keep", type=int, metavar="N", help="checkpoints to keep (default: 2)")
    group.add_argument("--eval-every", type=int, metavar="STEPS", help="steps between held-out evaluations")
    group.add_argument("--eval-rows", type=int, metavar="N", help="held-out rows of an evaluation")
    group.add_argument(
        "--trackers",
        metavar="NAMES",
        default="",
        help="trackers that accelerate supports, separated by commas: tensorboard, wandb, …",
    )


def options_from(parsed: argparse.Namespace) -> TrainOptions:
    """Return the run's options; flags that were not given keep their defaults."""
    names = {attribute.name for attribute in attrs.fields(TrainOptions)}
    given = {name: value for name, value in vars(parsed).items() if name in names and value is not None}
    given["trackers"] = tuple(name for name in str(given.get("trackers", "")).split(",") if name)
    return TrainOptions(**given, max_train_tokens=parsed.max_tokens)


def recipe_from(parsed: argparse.Namespace) -> Recipe:
    """Merge the stage's preset, the recipe file and the flags; the data set names its stage."""
    flags = {
        "stage": parsed.stage or _stage_of(parsed.data),
        "train": {
            "seed": parsed.seed,
            "rank": parsed.rank,
            "alpha": parsed.alpha,
            "dropout": parsed.dropout,
            "learning_rate": parsed.lr,
            "batch_rows": parsed.batch_rows,
            "max_tokens": parsed.max_row_tokens,
            "minutes": parsed.minutes,
            "max_steps": parsed.max_steps,
            "checkpoint_every": parsed.checkpoint_every,
            "eval_every": parsed.eval_every,
            "patience": parsed.patience,
        },
    }
    return make_recipe(file=parsed.recipe, flags=flags)


def plan_adapter(options: TrainOptions, recipe: Recipe, sentinels: tuple[int, ...]) -> AdapterPlan:
    """Return the adapter to attach: numbers from the recipe, the method from the options or the recipe."""
    settings = recipe.train
    return AdapterPlan(
        method=options.method or ("rslora" if settings.rslora else "lora"),
        rank=settings.rank,
        alpha=settings.alpha,
        dropout=settings.dropout,
        sentinels=sentinels,
        gradient_checkpointing=options.gradient_checkpointing,
    )


def _stage_of(data: Path) -> str | None:
    """Return the stage that a data set was made for, or None if its manifest can't be read."""
    try:
        manifest = json.loads((data / "manifest.json").read_text(encoding="utf-8"))
        return str(manifest["recipe"]["stage"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
