"""The flags of ``python -m training train`` and what they become: options of the run, and the recipe."""

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
    """What belongs to the machine and the run; what belongs to the result is in the recipe."""

    data: Path
    base: str
    output: Path
    resume: bool = False
    method: Method | None = None
    """None: LoRA, with the scale that the recipe names."""
    max_train_tokens: int | None = None
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    pass_tokens: int = 1024
    """Tokens to one pass forward and back; what memory depends on."""
    gradient_checkpointing: bool = False
    qlora: bool = False
    keep: int = 2
    """Checkpoints that stay."""
    trackers: tuple[str, ...] = ()
    init_adapter: Path | None = None
    eval_rows: int = 128
    evaluations: int | None = None
    """Held-out evaluations, spread evenly over the run; None: one every ``eval_every`` steps."""
    checkpoints: int | None = None
    """Likewise; None: one every ``checkpoint_every`` steps."""
    weight_decay: float = 0.0
    clip: float = 1.0
    cpu: bool = False
    threads: int | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's flags."""
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="data set made by prepare")
    parser.add_argument(
        "--base", required=True, metavar="PATH|NAME", help="GGUF, folder of safetensors, or name"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the run is kept")
    parser.add_argument("--resume", action="store_true", help="go on from the last whole checkpoint")
    parser.add_argument("--recipe", type=Path, metavar="FILE.toml", help="settings other than the defaults")
    parser.add_argument(
        "--stage", choices=("a", "b"), help="whose preset to begin with; the data set's by default"
    )
    length = parser.add_argument_group("how long")
    length.add_argument(
        "--minutes", type=float, metavar="N", help="about, by the speed measured at the start"
    )
    length.add_argument("--max-tokens", type=int, metavar="N", help="tokens to train on")
    length.add_argument("--max-steps", type=int, metavar="N", help="optimiser steps")
    how = parser.add_argument_group("how")
    how.add_argument("--method", choices=METHODS, help="rslora by default")
    how.add_argument("--rank", type=int, metavar="R")
    how.add_argument("--alpha", type=int)
    how.add_argument("--dropout", type=float)
    how.add_argument("--lr", type=float, metavar="RATE", help="peak learning rate")
    how.add_argument("--batch-rows", type=int, metavar="N", help="rows to a step, over all processes")
    how.add_argument("--max-row-tokens", type=int, metavar="N", help="longer rows are skipped")
    how.add_argument("--seed", type=int)
    how.add_argument("--patience", type=int, metavar="N", help="evaluations without gain before it stops")
    how.add_argument("--init-adapter", type=Path, metavar="DIR", help="begin with this adapter's weights")
    how.add_argument("--weight-decay", type=float, metavar="W")
    machine = parser.add_argument_group("the machine")
    machine.add_argument(
        "--precision", choices=("auto", "fp32", "bf16"), help="auto measures which is faster"
    )
    machine.add_argument(
        "--pass-tokens",
        type=int,
        metavar="N",
        help="tokens to a pass (1024); more is faster on a GPU",
    )
    machine.add_argument(
        "--gradient-checkpointing", action="store_true", default=None, help="less memory, a third more time"
    )
    machine.add_argument("--qlora", action="store_true", default=None, help="base in 4 bits; CUDA only")
    machine.add_argument("--cpu", action="store_true", default=None, help="leave the GPU alone")
    machine.add_argument("--threads", type=int, metavar="N", help="CPU threads of a process")
    machine.add_argument("--checkpoint-every", type=int, metavar="STEPS")
    machine.add_argument("--keep", type=int, metavar="N", help="checkpoints that stay")
    machine.add_argument("--eval-every", type=int, metavar="STEPS")
    machine.add_argument("--eval-rows", type=int, metavar="N", help="held-out rows to an evaluation")
    machine.add_argument(
        "--trackers",
        metavar="NAMES",
        default="",
        help="tensorboard, wandb, … (any that accelerate knows), by comma",
    )


def options_from(parsed: argparse.Namespace) -> TrainOptions:
    """The run's options; flags that were not given keep their defaults."""
    names = {attribute.name for attribute in attrs.fields(TrainOptions)}
    given = {name: value for name, value in vars(parsed).items() if name in names and value is not None}
    given["trackers"] = tuple(name for name in str(given.get("trackers", "")).split(",") if name)
    return TrainOptions(**given, max_train_tokens=parsed.max_tokens)


def recipe_from(parsed: argparse.Namespace) -> Recipe:
    """The recipe: the stage's preset, the file, the flags. The data set knows the stage it was made for."""
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
    """What to attach: the recipe's numbers, the method from the flags or else from the recipe."""
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
    try:
        manifest = json.loads((data / "manifest.json").read_text(encoding="utf-8"))
        return str(manifest["recipe"]["stage"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
