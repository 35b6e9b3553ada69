"""llama.cpp for the export: the logits after every token of a prompt, and its quantiser.

The server's engine computes the last row of logits only, which is faster; comparing models needs all rows.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fim_lsp.errors import FimLspError
from fim_lsp.files import atomic_write

Logits = NDArray[np.float32]

QUANTISERS: Mapping[str, str] = MappingProxyType(
    {
        "q5_0": "Q5_0",
        "q3_k_m": "Q3_K_M",
        "q4_k_s": "Q4_K_S",
        "q4_k_m": "Q4_K_M",
        "q5_k_m": "Q5_K_M",
        "q6_k": "Q6_K",
    }
)
"""llama.cpp's name for each file type that only its own quantiser writes, by the name that a user gives."""


class LlamaCppError(FimLspError):
    """A file that llama.cpp can't load, evaluate or quantise."""


def logits(model: Path, prompts: Sequence[Sequence[int]], lora: Path | None = None) -> list[Logits]:
    """Evaluate prompts one by one.

    Args:
        model: a GGUF.
        prompts: token ids.
        lora: a LoRA-GGUF to apply with scale 1; None for the model alone.

    Returns:
        For each prompt its logits, (tokens, vocabulary).

    Raises:
        LlamaCppError: a file can't be loaded or a prompt can't be evaluated.
    """
    longest = max(len(prompt) for prompt in prompts)
    with _context(model, longest, lora) as (context, vocabulary):
        return [_evaluate(context, prompt, vocabulary) for prompt in prompts]


def quantise(source: Path, target: Path, file_type: str) -> None:
    """Write a file type of :data:`QUANTISERS` with llama.cpp.

    A tensor whose rows are no multiple of 256 is written in another type, which llama.cpp chooses.

    Args:
        source: a GGUF in f16 or f32.
        target: the file to write.
        file_type: a key of :data:`QUANTISERS`.

    Raises:
        LlamaCppError: it failed; no file is left.
    """
    import llama_cpp

    _silence()
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{QUANTISERS[file_type]}")
    with atomic_write(target) as partial:
        paths = str(source).encode(), str(partial).encode()
        status = llama_cpp.llama_model_quantize(*paths, ctypes.byref(params))
        if status != 0:
            raise LlamaCppError(f"llama.cpp could not quantise {source} to {file_type} (status {status}).")


@contextmanager
def _context(model: Path, tokens: int, lora: Path | None) -> Iterator[tuple[Any, int]]:
    """Yield a context for prompts of up to ``tokens`` tokens, and the size of the vocabulary."""
    import llama_cpp

    _silence()
    weights = llama_cpp.llama_model_load_from_file(
        str(model).encode(), llama_cpp.llama_model_default_params()
    )
    if not weights:
        raise LlamaCppError(f"llama.cpp can't load {model}.")
    try:
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = max(32, tokens)
        context = llama_cpp.llama_init_from_model(weights, params)
        if not context:
            raise LlamaCppError(f"llama.cpp can't open a context of {tokens} tokens for {model}.")
        try:
            if lora is not None:
                _attach(weights, context, lora)
            vocab = llama_cpp.llama_model_get_vocab(weights)
            yield context, int(llama_cpp.llama_vocab_n_tokens(vocab))
        finally:
            llama_cpp.llama_free(context)
    finally:
        llama_cpp.llama_model_free(weights)


def _attach(weights: Any, context: Any, lora: Path) -> None:
    import llama_cpp

    adapter = llama_cpp.llama_adapter_lora_init(weights, str(lora).encode())
    if not adapter:
        raise LlamaCppError(f"llama.cpp can't load the adapter {lora}.")
    adapters = (llama_cpp.llama_adapter_lora_p_ctypes * 1)(adapter)
    if llama_cpp.llama_set_adapters_lora(context, adapters, 1, (ctypes.c_float * 1)(1.0)) != 0:
        raise LlamaCppError(f"llama.cpp can't use the adapter {lora}.")


def _evaluate(context: Any, prompt: Sequence[int], vocabulary: int) -> Logits:
    """Return the logits of a prompt, (tokens, vocabulary)."""
    import llama_cpp

    llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
    batch = llama_cpp.llama_batch_init(len(prompt), 0, 1)
    try:
        batch.n_tokens = len(prompt)
        for row, token in enumerate(prompt):
            batch.token[row], batch.pos[row] = token, row
            batch.n_seq_id[row], batch.seq_id[row][0], batch.logits[row] = 1, 0, 1
        status = llama_cpp.llama_decode(context, batch)
        if status != 0:
            raise LlamaCppError(f"llama.cpp refused a prompt of {len(prompt)} tokens (status {status}).")
        first = llama_cpp.llama_get_logits(context)
        values = np.ctypeslib.as_array(first, (len(prompt) * vocabulary,))
        return values.reshape(len(prompt), vocabulary).astype(np.float32, copy=True)
    finally:
        llama_cpp.llama_batch_free(batch)


def _silence() -> None:
    """Switch off llama.cpp's log, and initialise its backend."""
    import llama_cpp

    llama_cpp.llama_log_set(_ignore_log(), ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()


@cache
def _ignore_log() -> Any:
    """Return a log callback that does nothing; it is cached because llama.cpp may call it at any time."""
    import llama_cpp

    return llama_cpp.llama_log_callback(lambda level, text, data: None)
