"""LoRA adapters on a loaded model: opened at the first request that needs them, exchanged between requests.

llama.cpp keeps an adapter's matrices beside the model's and adds their product while it evaluates, so that a
change costs the next request its prefill and nothing else. All of it runs on the inference thread.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llama_cpp

from fim_lsp.engine.base import AdapterError
from fim_lsp.engine.llama.log import LastErrors
from fim_lsp.errors import FimLspError
from fim_lsp.types import AppliedAdapter

logger = logging.getLogger(__name__)

CheckAdapter = Callable[[Path], str | None]
"""Raises FimLspError for a file that llama.cpp must not open. Returns a notice for the user, or None."""


class LoadedAdapters:
    """The adapters that are open on one model, and those that its context applies."""

    def __init__(self, model: Any, context: Any, check: CheckAdapter) -> None:
        self._model = model
        self._context = context
        self._check = check
        self._open: dict[tuple[Path, int], Any] = {}
        self.applied: tuple[AppliedAdapter, ...] = ()
        """The adapters that the context evaluates under."""

    def load(self, adapters: tuple[AppliedAdapter, ...]) -> None:
        """Open the files that are not open yet, without applying them.

        Raises:
            AdapterError: one of them can't be applied to this model.
        """
        for adapter in adapters:
            if adapter.file not in self._open:
                self._open[adapter.file] = self._load(adapter)

    def apply(self, adapters: tuple[AppliedAdapter, ...]) -> None:
        """Apply these adapters, which are loaded, and no others. The KV cache is not changed."""
        count = len(adapters)
        opened = (self._open[adapter.file] for adapter in adapters)
        handles = (llama_cpp.llama_adapter_lora_p_ctypes * count)(*opened)
        scales = (ctypes.c_float * count)(*(adapter.scale for adapter in adapters))
        llama_cpp.llama_set_adapters_lora(self._context, handles, count, scales)
        self.applied = adapters
        self._free_former_versions()

    def close(self) -> None:
        """Free all adapters. Call it before their model is freed."""
        llama_cpp.llama_set_adapters_lora(self._context, None, 0, None)
        self.applied = ()
        for handle in self._open.values():
            llama_cpp.llama_adapter_lora_free(handle)
        self._open.clear()

    def _load(self, adapter: AppliedAdapter) -> Any:
        try:
            notice = self._check(adapter.path)
        except FimLspError as error:
            raise AdapterError(adapter, error.problem, error.remedy) from error
        with LastErrors() as errors:
            handle = llama_cpp.llama_adapter_lora_init(self._model, str(adapter.path).encode())
        if not handle:
            raise AdapterError(
                adapter,
                f"llama.cpp can't apply {adapter.path}: {errors.text()}",
                "Choose an adapter for this model.",
            )
        logger.info("Loaded the adapter %s%s", adapter.path, f": {notice}" if notice else "")
        return handle

    def _free_former_versions(self) -> None:
        """Free the former weights of applied files that were written again."""
        current = dict(adapter.file for adapter in self.applied)
        former = [(path, version) for path, version in self._open if current.get(path, version) != version]
        for file in former:
            llama_cpp.llama_adapter_lora_free(self._open.pop(file))
