"""Sequences of llama.cpp's KV cache as bytes and back, and what those bytes depend on."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np

from fim_lsp.engine.kv_state_file import Payload
from fim_lsp.engine.kv_state_store import KvStateSaver, KvStateStore
from fim_lsp.engine.mirror import Mirror
from fim_lsp.settings import ModelSettings


def identity_of(path: Path, settings: ModelSettings) -> Callable[[Mirror], str]:
    """Who may use a state: this very file, this library, this shape of the cache. Ask before the load.

    Size and time stand for the content, as reading it would take longer than what parking saves at a start.
    """
    file = path.stat()
    parts = (
        path.resolve(),
        file.st_size,
        file.st_mtime_ns,
        llama_cpp.__version__,
        sys.byteorder,
        settings.kv_type_k,
        settings.kv_type_v,
        settings.flash_attention,
        settings.gpu_layers,
        settings.context_tokens,
    )
    # A state names the number of streams, and is refused by a cache with another one.
    return lambda mirror: "\n".join(map(str, (*parts, len(mirror.states))))


def make_saver(lot: KvStateStore, context: Any, mirror: Mirror) -> KvStateSaver:
    """KvStateSaver for the sequences of a context."""
    memory = llama_cpp.llama_get_memory(context)

    def copy(sequence: int) -> memoryview | None:
        # The cache may hold more than the mirror claims, after an abort or a cleared mirror.
        llama_cpp.llama_memory_seq_rm(memory, sequence, len(mirror.states[sequence].tokens), -1)
        if _held(memory, sequence) != len(mirror.states[sequence].tokens):
            return None
        data = np.empty(llama_cpp.llama_state_seq_get_size(context, sequence), np.uint8)
        written = llama_cpp.llama_state_seq_get_data(context, _pointer(data), len(data), sequence)
        return data.data if written == len(data) else None

    def restore(sequence: int, payload: Payload, tokens: int) -> bool:
        llama_cpp.llama_memory_seq_rm(memory, sequence, -1, -1)
        data = np.frombuffer(payload, np.uint8)
        read = llama_cpp.llama_state_seq_set_data(context, _pointer(data), len(data), sequence)
        if read == len(data) and _held(memory, sequence) == tokens:
            return True
        llama_cpp.llama_memory_seq_rm(memory, sequence, -1, -1)
        return False

    return KvStateSaver(lot, mirror, copy, restore)


def _held(memory: Any, sequence: int) -> int:
    """Tokens that a sequence holds."""
    return int(llama_cpp.llama_memory_seq_pos_max(memory, sequence)) + 1


def _pointer(data: np.ndarray[Any, np.dtype[np.uint8]]) -> Any:
    return data.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
