"""One optimiser step: run the step's rows forward and backward, clip the gradient, apply AdamW."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext

import attrs
from attrs import frozen

from training.train import TrainError
from training.train.batches import StepRows, label_weights, pack
from training.train.prepared import PreparedRun


@frozen
class StepResult:
    """The figures of a step, over all processes."""

    loss: float
    """Weighted mean NLL of its labels, in nats."""
    gradient_norm: float
    """Before clipping."""


def take_step(prepared: PreparedRun, number: int, rate: float) -> StepResult:
    """Train on the rows of step ``number`` (from 0) with the learning rate ``rate``.

    Raises:
        TrainError: loss or gradient is not finite; the weights are unchanged then.
    """
    import torch

    for group in prepared.optimizer.param_groups:
        group["lr"] = rate
    prepared.seed(number)
    loss = backward(prepared, prepared.sampler.step(number))
    norm = torch.nn.utils.clip_grad_norm_(list(prepared.parameters.values()), prepared.options.clip)
    result = StepResult(loss, float(norm))
    if not (math.isfinite(result.loss) and math.isfinite(result.gradient_norm)):
        raise TrainError(
            f"The loss is no longer finite at step {number + 1}.",
            "Start anew with a lower --lr, in another --output or after removing this one.",
        )
    prepared.optimizer.step()
    prepared.optimizer.zero_grad(set_to_none=True)
    return result


def backward(prepared: PreparedRun, step: StepRows) -> float:
    """Accumulate the gradient of a step's mean loss, and return that loss over all processes."""
    import torch

    rows = prepared.dataset.train
    accelerator = prepared.accelerator
    total_weight = float(sum(label_weights(rows[row]).sum(dtype="float64") for row in step.rows))
    summed = torch.zeros((), device=accelerator.device)
    for number, numbers in enumerate(step.passes, 1):
        is_last = number == len(step.passes)
        with nullcontext() if is_last else accelerator.no_sync(prepared.module):
            loss = prepared.loss(pack([rows[row] for row in numbers]))
            # Distributed gradients are averaged over the processes, but each process has only its own labels.
            (loss * (accelerator.num_processes / total_weight)).backward()
        summed += loss.detach()
    return float(accelerator.reduce(summed, "sum")) / total_weight


def measure_speed(prepared: PreparedRun) -> float:
    """Return tokens a second over all processes; the gradient of the measured pass is thrown away."""
    import torch

    step = prepared.sampler.step(0)
    first_pass = attrs.evolve(step, passes=step.passes[:1])
    tokens = int(prepared.sampler.lengths[list(first_pass.passes[0])].sum())
    seconds = 0.0
    for _ in range(2):  # the first pass also allocates memory and builds kernels
        began = time.perf_counter()
        backward(prepared, first_pass)
        seconds = time.perf_counter() - began
        prepared.optimizer.zero_grad(set_to_none=True)
    speed = torch.tensor(tokens / seconds, device=prepared.accelerator.device)
    return float(prepared.accelerator.reduce(speed, "sum"))
