"""The length of a run and the size of its steps: fixed before it begins, so that a resumed run keeps both."""

from __future__ import annotations

import math
from typing import Literal

from attrs import frozen

Shape = Literal["cosine", "linear", "constant"]


@frozen
class TrainingBudget:
    """The length of a run: a number of tokens, or a number of steps if that is reached first."""

    tokens: int
    steps: int | None = None

    def share(self, tokens: int, steps: int) -> float:
        """Return the share of the run that is done, 0 to 1."""
        by_steps = steps / self.steps if self.steps else 0.0
        return min(1.0, max(tokens / self.tokens, by_steps))


def is_due(step: int, before: float, after: float, every: int, times: int | None) -> bool:
    """Tell whether an evaluation or a checkpoint is due after a step.

    Args:
        step: the step's number, from 1.
        before: share of the run that was done before the step.
        after: share that is done now.
        every: steps from one to the next; used if ``times`` is None.
        times: how many there are in the whole run, evenly spread.
    """
    return step % every == 0 if times is None else int(before * times) < int(after * times)


def learning_rate(peak: float, share: float, warmup: float, shape: Shape) -> float:
    """Return the learning rate when ``share`` of the run is done.

    It rises from 0 to ``peak`` in a straight line during the share ``warmup``, then falls to 0 as a cosine or
    in a straight line, or stays constant.
    """
    if share < warmup:
        return peak * share / warmup
    rest = (share - warmup) / max(1e-9, 1 - warmup)
    if shape == "cosine":
        return peak * (1 + math.cos(math.pi * rest)) / 2
    return peak * (1 - rest) if shape == "linear" else peak
