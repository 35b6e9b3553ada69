"""Where a run begins: at its last whole checkpoint, or with a budget of its own.

The budget is fixed once and kept in the checkpoints, so that a resumed run keeps its learning rates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
from attrs import define

from training.train.checkpoint import load_checkpoint, save_checkpoint
from training.train.options import plan_adapter
from training.train.prepared import PreparedRun, TrainError
from training.train.schedule import Budget

_DEFAULT_EPOCHS = 3
_STEP_SHARE_OF_TIME = 0.85
"""The rest of ``--minutes`` goes to evaluation, checkpoints and loading."""


@define
class Counters:
    """What changes from step to step; kept in checkpoints."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    """Spent in steps."""
    best_nll: float | None = None
    worse: int = 0
    """Evaluations since the best."""
    evaluations: int = 0


def begin(prepared: PreparedRun, measure_speed: Callable[[], float]) -> tuple[Counters, Budget]:
    """Counters and budget: those of the last whole checkpoint when resuming, else fresh ones.

    Args:
        prepared: filled with the checkpoint's weights and optimiser.
        measure_speed: tokens a second, asked for where the budget is given in minutes.

    Raises:
        TrainError: there is a run in the folder already, or its checkpoint is of another one.
    """
    checkpoint = load_checkpoint(prepared.checkpoints) if prepared.options.resume else None
    if checkpoint is None:
        if not prepared.options.resume and any(prepared.checkpoints.glob("step-*")):
            raise TrainError(
                f"{prepared.options.output} holds a run already.",
                "Go on with --resume, or name another --output.",
            )
        return Counters(), _budget(prepared, measure_speed)
    _check_same_run(prepared, checkpoint.progress["run"], checkpoint.path)
    _restore(prepared, checkpoint.tensors)
    return Counters(**checkpoint.progress["counters"]), Budget(**checkpoint.progress["budget"])


def save(prepared: PreparedRun, counters: Counters, budget: Budget) -> None:
    """Write a checkpoint; the other processes wait, so that none is ahead of what is on the disk."""
    if prepared.accelerator.is_main_process:
        progress = {
            "counters": attrs.asdict(counters),
            "budget": attrs.asdict(budget),
            "run": _fingerprint(prepared),
        }
        save_checkpoint(
            prepared.checkpoints, counters.step, _state(prepared), progress, prepared.options.keep
        )
    prepared.accelerator.wait_for_everyone()


def _budget(prepared: PreparedRun, measure_speed: Callable[[], float]) -> Budget:
    options, settings, sampler = prepared.options, prepared.recipe.train, prepared.sampler
    if options.max_train_tokens is None and settings.max_steps is None and settings.minutes:
        tokens = measure_speed() * settings.minutes * 60 * _STEP_SHARE_OF_TIME
        return Budget(max(1, round(tokens)))
    epoch = int(sampler.lengths[sampler.usable].sum())
    # A run that is limited by steps alone never comes to so many tokens.
    default = _DEFAULT_EPOCHS * epoch if settings.max_steps is None else 1 << 62
    return Budget(options.max_train_tokens or default, settings.max_steps)


def _check_same_run(prepared: PreparedRun, saved: Mapping[str, Any], path: Path) -> None:
    wanted = _fingerprint(prepared)
    different = [name for name, value in wanted.items() if saved.get(name) != value]
    if different:
        raise TrainError(
            f"The checkpoint {path} is of another run; different are: {', '.join(different)}.",
            "Give the same base, data and flags, or name another --output.",
        )


def _fingerprint(prepared: PreparedRun) -> dict[str, Any]:
    """What must be the same for a checkpoint to be gone on from."""
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
    """Adapter and optimiser as tensors by name."""
    tensors = {f"adapter.{name}": value.detach().cpu() for name, value in prepared.parameters.items()}
    for name, parameter in prepared.parameters.items():
        for key, value in prepared.optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{key}.{name}"] = value.detach().cpu()
    return tensors


def _restore(prepared: PreparedRun, tensors: Mapping[str, Any]) -> None:
    import torch

    state = prepared.optimizer.state_dict()
    kinds = sorted({name.split(".")[1] for name in tensors if name.startswith("optimizer.")})
    with torch.no_grad():
        for number, (name, parameter) in enumerate(prepared.parameters.items()):
            parameter.copy_(tensors[f"adapter.{name}"])
            state["state"][number] = {kind: tensors[f"optimizer.{kind}.{name}"] for kind in kinds}
    prepared.optimizer.load_state_dict(state)
