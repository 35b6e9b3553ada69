"""The start of a run: from its newest checkpoint, or from step 0 with a budget of its own.

The budget is decided once and kept in the checkpoints, so that a resumed run keeps its learning rates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
from attrs import define

from training.train import TrainError
from training.train.checkpoint import load_checkpoint, save_checkpoint
from training.train.options import plan_adapter
from training.train.prepared import PreparedRun
from training.train.schedule import TrainingBudget

_DEFAULT_EPOCHS = 3
_STEP_SHARE_OF_TIME = 0.85
"""Share of ``--minutes`` that is spent in steps; evaluation, checkpoints and loading take the rest."""


@define
class Counters:
    """The numbers that change from step to step; kept in checkpoints."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    """Time spent in steps."""
    best_nll: float | None = None
    worse: int = 0
    """Evaluations since the best one."""
    evaluations: int = 0


def start_or_resume(
    prepared: PreparedRun, measure_speed: Callable[[], float]
) -> tuple[Counters, TrainingBudget]:
    """Return the counters and the budget of the newest checkpoint when resuming, or else new ones.

    Args:
        prepared: the run; a checkpoint's weights and optimiser state are copied into it.
        measure_speed: returns tokens a second; called if the budget is given in minutes.

    Raises:
        TrainError: the folder holds a run already, or its checkpoint was written with other options.
    """
    checkpoint = load_checkpoint(prepared.checkpoints) if prepared.options.resume else None
    if checkpoint is None:
        if not prepared.options.resume and any(prepared.checkpoints.glob("step-*")):
            raise TrainError(
                f"{prepared.options.output} holds a run already.",
                "Continue it with --resume, or name another --output.",
            )
        return Counters(), _make_budget(prepared, measure_speed)
    _check_same_run(prepared, checkpoint.progress["run"], checkpoint.path)
    _restore(prepared, checkpoint.tensors)
    return Counters(**checkpoint.progress["counters"]), TrainingBudget(**checkpoint.progress["budget"])


def write_checkpoint(prepared: PreparedRun, counters: Counters, budget: TrainingBudget) -> None:
    """Write a checkpoint; the other processes wait, so that none is ahead of what is on the disk."""
    if prepared.is_main:
        progress = {
            "counters": attrs.asdict(counters),
            "budget": attrs.asdict(budget),
            "run": _fingerprint(prepared),
        }
        save_checkpoint(
            prepared.checkpoints, counters.step, _state(prepared), progress, prepared.options.keep
        )
    prepared.accelerator.wait_for_everyone()


def _make_budget(prepared: PreparedRun, measure_speed: Callable[[], float]) -> TrainingBudget:
    options, settings, sampler = prepared.options, prepared.recipe.train, prepared.sampler
    if options.max_train_tokens is None and settings.max_steps is None and settings.minutes:
        tokens = measure_speed() * settings.minutes * 60 * _STEP_SHARE_OF_TIME
        return TrainingBudget(max(1, round(tokens)))
    epoch = int(sampler.lengths[sampler.usable].sum())
    # If only steps are limited, the limit of tokens is one that no run reaches.
    default = _DEFAULT_EPOCHS * epoch if settings.max_steps is None else 1 << 62
    return TrainingBudget(options.max_train_tokens or default, settings.max_steps)


def _check_same_run(prepared: PreparedRun, saved: Mapping[str, Any], path: Path) -> None:
    current = _fingerprint(prepared)
    different = [name for name, value in current.items() if saved.get(name) != value]
    if different:
        raise TrainError(
            f"The checkpoint {path} is of another run; different are: {', '.join(different)}.",
            "Give the same base, data and flags, or name another --output.",
        )


def _fingerprint(prepared: PreparedRun) -> dict[str, Any]:
    """Return the options that must be the same for a run to be resumed."""
    plan, settings = plan_adapter(prepared.options, prepared.recipe, ()), prepared.recipe.train
    return {
        "base": prepared.base.sha256,
        "data": prepared.dataset.manifest.get("sha256", {}),
        "method": plan.method,
        "rank": plan.rank,
        "alpha": plan.alpha,
        "precision": prepared.precision,
        "seed": settings.seed,
        "batch_rows": settings.batch_rows,
        "max_row_tokens": settings.max_tokens,
    }


def _state(prepared: PreparedRun) -> dict[str, Any]:
    """Return the tensors of adapter and optimiser by name."""
    tensors = {f"adapter.{name}": value.detach().cpu() for name, value in prepared.parameters.items()}
    for name, parameter in prepared.parameters.items():
        for key, value in prepared.optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{key}.{name}"] = value.detach().cpu()
    return tensors


def _restore(prepared: PreparedRun, tensors: Mapping[str, Any]) -> None:
    """Copy the tensors of :func:`_state` back into adapter and optimiser."""
    import torch

    state = prepared.optimizer.state_dict()
    keys = sorted({name.split(".")[1] for name in tensors if name.startswith("optimizer.")})
    with torch.no_grad():
        for number, (name, parameter) in enumerate(prepared.parameters.items()):
            parameter.copy_(tensors[f"adapter.{name}"])
            state["state"][number] = {key: tensors[f"optimizer.{key}.{name}"] for key in keys}
    prepared.optimizer.load_state_dict(state)
