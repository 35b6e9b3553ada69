"""What a draft costs on this model and this machine, measured once when the model is loaded."""

from __future__ import annotations

import time
from statistics import median

from fim_lsp.engine.llama.cache import KvCache

_ROUNDS = 10
_TOKEN = 0
"""Any token will do: what is computed does not depend on which."""


def can_drop(cache: KvCache) -> bool:
    """Whether the last tokens of a sequence can be taken back; recurrent models can only drop everything."""
    cache.mirror.clear()
    cache.clear_current()
    dropped = cache.decode((_TOKEN, _TOKEN), logits=1) and cache.drop_beyond(1)
    cache.mirror.clear()
    cache.clear_current()
    return dropped


def draft_cost(cache: KvCache, draft_tokens: int) -> float:
    """How many decodes of one token a decode of one and its draft costs: medians, measured in turns.

    Takes about half a second for a model of 135M parameters on one core.
    """
    spent: dict[int, list[float]] = {1: [], 1 + draft_tokens: []}
    cache.decode((_TOKEN,), logits=1)
    for _ in range(_ROUNDS):
        for rows, times in spent.items():
            started = time.perf_counter()
            cache.decode((_TOKEN,) * rows, logits=rows)
            times.append(time.perf_counter() - started)
            cache.drop_beyond(1)
    cache.mirror.clear()
    cache.clear_current()
    single, drafted = map(median, spent.values())
    return drafted / single
