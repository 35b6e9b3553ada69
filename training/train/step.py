"""One optimiser step: the rows of its number forward and back, the gradient clipped, AdamW."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext

import attrs
from attrs import frozen

from training.train.batches import Step, label_weights, pack
from training.train.prepared import PreparedRun, TrainError


@frozen
class Taken:
    """What a step came to, over all processes."""

    loss: float
    """Weighted mean NLL of its labels, in nats."""
    gradient_norm: float
    """Before clipping."""


def take_step(prepared: PreparedRun, number: int, rate: float) -> Taken:
    """Train on the rows of step ``number`` (from 0) with the learning rate ``rate``.

    Raises:
        TrainError: loss or gradient is no longer finite; the weights are untouched then.
    """
    import torch

    for group in prepared.optimizer.param_groups:
        group["lr"] = rate
    prepared.seed(number)
    loss = backward(prepared, prepared.sampler.step(number))
    norm = torch.nn.utils.clip_grad_norm_(list(prepared.parameters.values()), prepared.options.clip)
    taken = Taken(loss, float(norm))
    if not (math.isfinite(taken.loss) and math.isfinite(taken.gradient_norm)):
        raise TrainError(
            f"The loss is no longer finite at step {number + 1}.",
            "Start anew with a lower --lr, in another --output or after removing this one.",
        )
    prepared.optimizer.step()
    prepared.optimizer.zero_grad(set_to_none=True)
    return taken


def backward(prepared: PreparedRun, step: Step) -> float:
    """Accumulate the gradient of a step's mean loss; returns that loss over all processes."""
    import torch

    rows = prepared.dataset.train
    accelerator = prepared.accelerator
    whole = float(sum(label_weights(rows[row]).sum(dtype="float64") for row in step.rows))
    summed = torch.zeros((), device=accelerator.device)
    for number, numbers in enumerate(step.passes, 1):
        last = number == len(step.passes)
        with nullcontext() if last else accelerator.no_sync(prepared.module):
            total = prepared.loss(pack([rows[row] for row in numbers]))
            # Distributed gradients are averaged over the processes, and each has only its share of labels.
            (total * (accelerator.num_processes / whole)).backward()
        summed += total.detach()
    return float(accelerator.reduce(summed, "sum")) / whole


def measured_speed(prepared: PreparedRun) -> float:
    """Tokens a second over all processes: a pass is tried twice and its gradient thrown away."""
    import torch

    step = prepared.sampler.step(0)
    small = attrs.evolve(step, passes=step.passes[:1])
    tokens = int(prepared.sampler.lengths[list(small.passes[0])].sum())
    seconds = 0.0
    for _ in range(2):  # the first one also pays for memory and kernels
        began = time.perf_counter()
        backward(prepared, small)
        seconds = time.perf_counter() - began
        prepared.optimizer.zero_grad(set_to_none=True)
    mean = torch.tensor(tokens / seconds, device=prepared.accelerator.device)
    return float(prepared.accelerator.reduce(mean, "sum"))
