"""Measure once, when a model is loaded, what a draft costs on this machine, and decide whether drafts pay."""

from __future__ import annotations

import time
from statistics import median

from fim_lsp.engine.llama.cache import KvCache
from fim_lsp.engine.speculation import DRAFT_TOKENS, decide
from fim_lsp.settings import ModelSettings
from fim_lsp.types import Speculation

_ROUNDS = 10
_TOKEN = 0
"""Any token will do: the computation does not depend on which."""


def decide_speculation(cache: KvCache, settings: ModelSettings) -> Speculation:
    """Decide whether a model uses drafts, with a measurement if the setting asks for one.

    The cache is empty afterwards.
    """
    setting = settings.speculation
    if setting == "off":
        return decide(setting, None)
    if settings.batch_tokens <= DRAFT_TOKENS:
        return Speculation(reason="off, as model.batchTokens has no room for a token and a draft")
    if not _can_drop_tail(cache):
        return decide(setting, None)
    return decide(setting, _cost_ratio(cache) if setting == "auto" else 0.0)


def _can_drop_tail(cache: KvCache) -> bool:
    """Return whether a sequence's last tokens can be dropped. Recurrent models can only drop everything."""
    cache.mirror.clear()
    cache.clear_current()
    dropped = cache.decode((_TOKEN, _TOKEN), logits=1) and cache.drop_beyond(1)
    cache.mirror.clear()
    cache.clear_current()
    return dropped


def _cost_ratio(cache: KvCache) -> float:
    """Measure the cost of a decode with a full draft, in decodes of one token.

    Compares the medians of alternating decodes. Takes about half a second for a model of 135M parameters on
    one core.
    """
    seconds: dict[int, list[float]] = {1: [], 1 + DRAFT_TOKENS: []}
    cache.decode((_TOKEN,), logits=1)
    for _ in range(_ROUNDS):
        for rows, measured in seconds.items():
            started = time.perf_counter()
            cache.decode((_TOKEN,) * rows, logits=rows)
            measured.append(time.perf_counter() - started)
            cache.drop_beyond(1)
    cache.mirror.clear()
    cache.clear_current()
    single, drafted = map(median, seconds.values())
    return drafted / single
