"""How long a run is and how large its steps are: fixed before it begins, so that a resumed run keeps both."""

from __future__ import annotations

import math
from typing import Literal

from attrs import frozen

Shape = Literal["cosine", "linear", "constant"]


@frozen
class Budget:
    """When a run is over: after so many tokens, or after so many steps if that comes first."""

    tokens: int
    steps: int | None = None

    def share(self, tokens: int, steps: int) -> float:
        """How much of the run is done, 0 to 1."""
        by_steps = steps / self.steps if self.steps else 0.0
        return min(1.0, max(tokens / self.tokens, by_steps))


def is_due(step: int, before: float, after: float, every: int, times: int | None) -> bool:
    """Whether what happens now and then happens after a step.

    Args:
        step: its number, from 1.
        before: share of the run that was done before it.
        after: share that is done now.
        every: steps between two times, where ``times`` is None.
        times: how often in the whole run, spread evenly.
    """
    return step % every == 0 if times is None else int(before * times) < int(after * times)


def learning_rate(peak: float, share: float, warmup: float, shape: Shape) -> float:
    """The learning rate when ``share`` of the run is done: up in a line, then down by ``shape`` to 0."""
    if share < warmup:
        return peak * share / warmup
    rest = (share - warmup) / max(1e-9, 1 - warmup)
    if shape == "cosine":
        return peak * (1 + math.cos(math.pi * rest)) / 2
    return peak * (1 - rest) if shape == "linear" else peak
