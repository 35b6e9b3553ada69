"""How much later a model ends its middles than it should: a bias for the logit of the end token.

Few labels are ends, so cross entropy spends little on them, and a small model goes on with another line when
it has said enough. How far off it is shows on held-out middles, with each token's place judged as if all
before it had been said: whether the end would have been chosen there, once its logit is lifted by so many
nats where the likeliest other token has a line break (:class:`.Speech` does the same).
The bias that makes middles end at such places too early as often as too late is written into the model.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BIASES = np.arange(0.0, 4.25, 0.25)
"""Nats. Ending too late is what happens; a model that ends too early is left as it is."""
_FEWEST = 32
"""Middles with something to say; from fewer no bias is concluded."""

Counts = NDArray[np.int64]


def mistakes(leads: NDArray[np.floating], breaks: NDArray[np.bool_]) -> Counts:
    """Whether a middle would end too early, and too late, where it may go on with another line; by bias.

    Args:
        leads: how far the end's logit is above all others, (tokens,), at each token of the middle, its end
            token included.
        breaks: whether the likeliest other token there has a line break, (tokens,).

    Returns:
        Rows early, late and 1, (3, biases); all 0 for an empty middle, which can only end too late.
    """
    if len(leads) < 2:
        return np.zeros((3, len(BIASES)), np.int64)
    ends = leads[1:, None] + BIASES > 0
    early = (ends[:-1] & breaks[1:-1, None]).any(0)
    late = breaks[-1] & ~ends[-1]
    return np.stack([early, late, np.ones_like(early)]).astype(np.int64)


def balanced(counts: Counts) -> float | None:
    """The smallest bias with which ends come too early at least as often as too late.

    Args:
        counts: the sum of :func:`mistakes` over many middles.

    Returns:
        Nats; None where there were too few middles to tell.
    """
    early, late, middles = counts
    if middles[0] < _FEWEST:
        return None
    enough = np.flatnonzero(early >= late)
    return float(BIASES[enough[0] if len(enough) else -1])
