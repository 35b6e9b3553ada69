"""How much later a model ends its middles than it should: a bias for the logit of the end token.

Few labels are ends, so cross entropy spends little on them, and a small model writes on when it has said
enough. How far off it is shows on held-out middles, with each token's place judged as if all before it had
been said: whether the end would have been chosen there, once its logit is lifted by so many nats. The bias
that makes middles end too early as often as too late is written into the model, and the server adds it
(:attr:`fim_lsp.types.SamplingParams.end_bias`). The first token is left alone, there as here: that there is
nothing to say is judged well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BIASES = np.arange(0.0, 4.25, 0.25)
"""Nats. Ending too late is what happens; a model that ends too early is left as it is."""
_FEWEST = 16
"""Middles that something was said in; from fewer no bias is concluded."""

Counts = NDArray[np.int64]


def mistakes(leads: NDArray[np.floating]) -> Counts:
    """Whether a middle would end too early, and too late, by bias.

    Args:
        leads: how far the end's logit is above all others, (tokens,), at each token of the middle, its end
            token included.

    Returns:
        Rows early, late and 1, (3, biases); all 0 for a middle that is empty or held to be.
    """
    if len(leads) < 2 or leads[0] > 0:
        return np.zeros((3, len(BIASES)), np.int64)
    early = leads[1:-1].max(initial=-np.inf) + BIASES > 0
    late = leads[-1] + BIASES <= 0
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
