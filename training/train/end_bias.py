"""The end bias: nats added to the logit of the end token of a model that ends its middles too late.

Few labels are end tokens, so cross entropy spends little on them, and a small model writes another line where
it should have ended. How far off it is shows on held-out middles: at each token of a middle, after the true
text before it, would the model choose the end token if its logit were raised by the bias? The bias counts
only where the likeliest other token contains a line break, as in the server
(:mod:`fim_lsp.engine.token_stream`). The bias with which middles end too early as often as too late is
written into the model.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BIASES = np.arange(0.0, 4.25, 0.25)
"""The biases that are tried, in nats. None is negative: a model that ends too early is left as it is."""
_FEWEST_MIDDLES = 32
"""With fewer middles no bias is chosen."""

Counts = NDArray[np.int64]


def count_wrong_ends(leads: NDArray[np.floating], breaks: NDArray[np.bool_]) -> Counts:
    """Count, for each bias, whether one middle would end too early and whether it would end too late.

    Args:
        leads: (tokens,), the logit of the end token less the highest other logit, at each token of the
            middle, its end token included.
        breaks: (tokens,), whether the likeliest other token contains a line break.

    Returns:
        (3, biases), with 0 or 1: ends too early, ends too late, was counted. All are 0 for an empty middle,
        which can't end too early.
    """
    if len(leads) < 2:
        return np.zeros((3, len(BIASES)), np.int64)
    ends = leads[1:, None] + BIASES > 0
    early = (ends[:-1] & breaks[1:-1, None]).any(0)
    late = breaks[-1] & ~ends[-1]
    return np.stack([early, late, np.ones_like(early)]).astype(np.int64)


def choose_bias(counts: Counts) -> float | None:
    """Return the smallest bias with which middles end too early at least as often as too late.

    Args:
        counts: the sum of :func:`count_wrong_ends` over many middles.

    Returns:
        Nats; None if there were too few middles.
    """
    early, late, middles = counts
    if middles[0] < _FEWEST_MIDDLES:
        return None
    enough = np.flatnonzero(early >= late)
    return float(BIASES[enough[0] if len(enough) else -1])
