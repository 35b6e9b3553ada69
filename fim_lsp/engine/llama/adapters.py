"""LoRA adapters on a loaded model: opened when first wanted, exchanged between two requests.

llama.cpp keeps an adapter's matrices beside the model's and adds their product while it evaluates, so that
a change costs the next request its prefill and nothing else. Everything here runs on the inference thread.
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
"""Raises FimLspError for a file that llama.cpp must not see; else something the user should know, or None."""


class LoadedAdapters:
    """The adapters that one model has open, and those that its context applies."""

    def __init__(self, model: Any, context: Any, check: CheckAdapter) -> None:
        self._model = model
        self._context = context
        self._check = check
        self._open: dict[tuple[Path, int], Any] = {}
        self.applied: tuple[AppliedAdapter, ...] = ()
        """What the context evaluates under."""

    def load(self, wanted: tuple[AppliedAdapter, ...]) -> None:
        """Open the files that are not open yet; what is applied stays so.

        Raises:
            AdapterError: one of them can't be applied to this model.
        """
        for adapter in wanted:
            if adapter.file not in self._open:
                self._open[adapter.file] = self._load(adapter)

    def apply(self, wanted: tuple[AppliedAdapter, ...]) -> None:
        """Apply these, which are loaded, and no others. What the KV cache holds stays what it was."""
        count = len(wanted)
        handles = (llama_cpp.llama_adapter_lora_p_ctypes * count)(*(self._open[one.file] for one in wanted))
        scales = (ctypes.c_float * count)(*(adapter.scale for adapter in wanted))
        llama_cpp.llama_set_adapters_lora(self._context, handles, count, scales)
        self.applied = wanted
        self._free_former_versions()

    def close(self) -> None:
        """Free all of them, before their model is."""
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
        """A file that was written anew would otherwise leave its former weights behind each time."""
        now = dict(adapter.file for adapter in self.applied)
        former = [(path, version) for path, version in self._open if now.get(path, version) != version]
        for file in former:
            llama_cpp.llama_adapter_lora_free(self._open.pop(file))
