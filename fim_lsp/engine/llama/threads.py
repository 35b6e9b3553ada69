"""The threads that a context computes with: as many as asked for, or as the machine's load allows.

The priority of the inference thread is left alone. An unprivileged thread can give it up but never take it
back, and OpenMP's threads, which wait for each other at every node of the graph, are as slow as the one that
gets the least of its core: beside a build at ordinary priority a niced decode starves. What keeps the editor
fluent is the core that is left to it, waiting without spinning (``OMP_WAIT_POLICY``), and fewer threads when
it is crowded.
"""

from __future__ import annotations

import logging
from typing import Any

import llama_cpp
import psutil

from fim_lsp.engine.thread_control import Pace

logger = logging.getLogger(__name__)


def default_threads() -> int:
    """Physical cores less one: two OpenMP threads on a busy two-core machine are slower than one."""
    return max(1, (psutil.cpu_count(logical=False) or 1) - 1)


class Threads:
    """Follows the load of the machine, unless the number was given by hand. Used on the inference thread."""

    def __init__(self, context: Any, pace: Pace | None) -> None:
        self._context = context
        self._pace = pace

    @property
    def count(self) -> int:
        """How many compute the next token."""
        return int(llama_cpp.llama_n_threads(self._context))

    def decoded(self, ms: float) -> None:
        """Take note of how long one token took; the next may be computed with another number of threads."""
        if self._pace is None:
            return
        before, self._pace = self._pace.threads, self._pace.after(ms)
        if self._pace.threads != before:
            llama_cpp.llama_set_n_threads(self._context, self._pace.threads, self._pace.threads)
            logger.debug("%d threads instead of %d", self._pace.threads, before)
