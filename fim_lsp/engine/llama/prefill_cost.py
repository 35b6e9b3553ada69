"""Measure once, when a model is loaded, how fast this machine evaluates a prompt."""

from __future__ import annotations

import logging
import time

from fim_lsp.engine.llama.cache import KvCache
from fim_lsp.engine.llama.threads import Threads
from fim_lsp.settings import ModelSettings

logger = logging.getLogger(__name__)

_BATCHES = (8, 64)
"""Tokens of the batches to measure, one after the other."""
_MOST_S = 0.5
"""Expected seconds above which a batch is left out. Prefills correct the figure later."""
_TOKEN = 0
"""Any token will do: the computation does not depend on which."""


def measure_prefill(cache: KvCache, threads: Threads, settings: ModelSettings) -> float:
    """Measure the tokens that are evaluated in a second; 0 with layers on a GPU, where there is no need.

    The cache is empty before and afterwards.
    """
    if settings.gpu_layers != 0:
        return 0.0
    seconds_a_token = 0.0
    for size in _BATCHES:
        tokens = (_TOKEN,) * min(size, settings.batch_tokens, settings.context_tokens - 1)
        if len(tokens) * seconds_a_token > _MOST_S:
            break
        cache.mirror.clear()
        cache.clear_current()
        started = time.perf_counter()
        with threads.prefilling(len(tokens)):
            cache.decode(tokens, logits=1)
        seconds_a_token = (time.perf_counter() - started) / len(tokens)
    cache.mirror.clear()
    cache.clear_current()
    logger.info("Prefill evaluates about %.0f tokens a second", 1 / seconds_a_token)
    return 1 / seconds_a_token
