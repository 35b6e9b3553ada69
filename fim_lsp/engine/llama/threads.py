"""The threads that a context computes with: as many as the settings ask for, or as the machine's load allows.

The priority of the inference thread is not changed. An unprivileged thread can lower it but never raise it
again, and OpenMP's threads, which wait for each other at every node of the graph, are as slow as the one that
gets the least of its core: beside a build at ordinary priority a niced decode starves. Three things keep the
editor responsive: one core is left to it, waiting threads spin for microseconds only
(:func:`fim_lsp.engine_factory.limit_spinning`), and fewer threads compute on a busy machine.

A prefill lasts for a second or less and computes more between two waits. It may use all physical cores that
other processes leave free.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import llama_cpp
import psutil

from fim_lsp.engine.machine_load import MachineLoad
from fim_lsp.engine.thread_control import ThreadControl, prefill_threads

logger = logging.getLogger(__name__)

_FEWEST_TOKENS = 8
"""Tokens of a batch that more threads are worth waking for. Fewer are a key or a draft."""


def default_threads() -> int:
    """Return the physical cores less one: two OpenMP threads on two busy cores are slower than one."""
    return max(1, (psutil.cpu_count(logical=False) or 1) - 1)


def physical_cores() -> int:
    """Return the physical cores that this process may use, as far as the system tells."""
    return min(psutil.cpu_count(logical=False) or 1, processors())


def processors() -> int:
    """Return the logical processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def limited_threads(wanted: int) -> tuple[int, str | None]:
    """Return the thread count to use, and a remark if more are wanted than there are processors.

    More threads than processors wait for each other at every node of the graph: a token then takes many times
    as long.
    """
    if wanted <= (most := processors()):
        return wanted, None
    return (
        most,
        f"model.threads is {wanted}, but this machine has {most} processors: {most} are used.",
    )


class Threads:
    """The thread count of a context. Used on the inference thread.

    Args:
        context: llama.cpp's.
        control: Adapts the count to the machine's load; None to leave it as it is.
        cores: The most threads for a prefill; used with a control only.
    """

    def __init__(self, context: Any, control: ThreadControl | None, cores: int = 1) -> None:
        self._context = context
        self._control = control
        self._cores = cores
        self._load = MachineLoad()
        self.prefill_count = self.count
        """Threads of the last prefill."""

    @property
    def count(self) -> int:
        """Threads that compute the next token."""
        return int(llama_cpp.llama_n_threads(self._context))

    @contextmanager
    def prefilling(self, tokens: int) -> Iterator[None]:
        """Use the cores that are free while so many tokens are evaluated at once."""
        self.prefill_count = before = self.count
        if self._control is None or tokens < _FEWEST_TOKENS:
            yield
            return
        self.prefill_count = threads = prefill_threads(before, self._cores, self._load.busy())
        llama_cpp.llama_set_n_threads(self._context, before, threads)
        try:
            yield
        finally:
            # Drafts and candidates are small batches: more threads make them slower.
            llama_cpp.llama_set_n_threads(self._context, before, before)

    def record(self, ms: float) -> None:
        """Record how long a decode of one token took, and change the thread count if that calls for it."""
        if self._control is None:
            return
        before, self._control = self._control.threads, self._control.after(ms)
        if self._control.threads != before:
            llama_cpp.llama_set_n_threads(self._context, self._control.threads, self._control.threads)
            logger.debug("%d threads instead of %d", self._control.threads, before)
