"""Open weights and a context as the settings ask, and describe what was opened."""

from __future__ import annotations

import ctypes
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llama_cpp
from attrs import evolve

from fim_lsp.engine.base import ModelLoadError, OnLoading
from fim_lsp.engine.kv_state_store import KvStateSaver, KvStateStore
from fim_lsp.engine.llama.adapters import CheckAdapter, LoadedAdapters
from fim_lsp.engine.llama.batch import Batch
from fim_lsp.engine.llama.cache import KvCache
from fim_lsp.engine.llama.draft_cost import decide_speculation
from fim_lsp.engine.llama.engine import LlamaEngine
from fim_lsp.engine.llama.log import LastErrors, follow_log
from fim_lsp.engine.llama.prefill_cost import measure_prefill
from fim_lsp.engine.llama.threads import Threads, default_threads, limited_threads, physical_cores
from fim_lsp.engine.llama.tokenizer import LlamaTokenizer
from fim_lsp.engine.mirror import Mirror
from fim_lsp.engine.thread_control import ThreadControl
from fim_lsp.settings import ModelSettings
from fim_lsp.types import ModelInfo

logger = logging.getLogger(__name__)

KV_TYPES = {
    "f32": llama_cpp.GGML_TYPE_F32,
    "f16": llama_cpp.GGML_TYPE_F16,
    "q8_0": llama_cpp.GGML_TYPE_Q8_0,
    "q4_0": llama_cpp.GGML_TYPE_Q4_0,
}
_FIM_KEYS = ("pre", "suf", "mid", "pad", "rep", "sep")
_METADATA_LENGTH = 512
"""Bytes of a metadata value that are read; longer ones, such as chat templates, are cut."""


def library_features() -> str:
    """Return what this build of llama.cpp can use, for ``fim-lsp doctor``."""
    features: bytes = llama_cpp.llama_print_system_info()
    return f"llama-cpp-python {llama_cpp.__version__}: " + features.decode("utf-8", "replace").strip()


def open_llama(
    path: Path,
    settings: ModelSettings,
    on_loading: OnLoading = lambda _: True,
    *,
    name: str | None = None,
    template_hint: str | None = None,
    notice: str | None = None,
    check_adapter: CheckAdapter = lambda _: None,
    kv_state_folder: Path | None = None,
) -> LlamaEngine:
    """Load weights and open a context.

    Check the file with :func:`fim_lsp.models.gguf_header.check_model` before: llama.cpp aborts the whole
    process on some broken files.

    Args:
        path: The GGUF file.
        settings: How to run it; their model name is not used.
        on_loading: See :data:`fim_lsp.engine.base.OnLoading`.
        name: Name from the catalog; the file's own if None.
        template_hint: See :attr:`fim_lsp.types.ModelInfo.template_hint`.
        notice: See :attr:`fim_lsp.types.ModelInfo.notice`.
        check_adapter: Called for each adapter before llama.cpp opens it.
        kv_state_folder: Folder to save KV states in; None to save none.

    Raises:
        ModelLoadError: with llama.cpp's own last error line.
    """
    follow_log()
    llama_cpp.llama_backend_init()
    identity = _kv_state_identity(path, settings)
    model, context, sequences = _open_native(path, settings, on_loading)
    tokenizer = LlamaTokenizer(llama_cpp.llama_model_get_vocab(model))
    vocabulary = tokenizer.vocabulary()
    batch = Batch(settings.batch_tokens)
    cache = KvCache(context, Mirror.of(sequences), batch, len(vocabulary.pieces))
    # The user's own thread count is never changed, and it hardly matters if a GPU computes.
    fixed = settings.threads is not None or settings.gpu_layers != 0
    threads = Threads(context, None if fixed else ThreadControl(default_threads()), physical_cores())
    _warm_up(cache)
    prefill_tokens_per_s = measure_prefill(cache, threads, settings)
    speculation = decide_speculation(cache, settings)
    logger.info("Speculative decoding is %s", speculation.reason)
    _, too_many = limited_threads(settings.threads or default_threads())
    info = evolve(describe(path, model), context=llama_cpp.llama_n_ctx_seq(context))
    info = evolve(
        info,
        name=name or info.name,
        end_ids=vocabulary.ends,
        template_hint=template_hint,
        notice=" ".join(filter(None, (notice, too_many))) or None,
        speculation=speculation,
        prefill_tokens_per_s=prefill_tokens_per_s,
    )
    kv_states = None
    if kv_state_folder is not None:
        limit_bytes = settings.kv_state_mb * 1_000_000
        kv_states = KvStateSaver(KvStateStore(kv_state_folder, identity(sequences), limit_bytes), cache)
    return LlamaEngine(
        info,
        tokenizer,
        cache,
        threads,
        model,
        vocabulary,
        settings,
        LoadedAdapters(model, context, check_adapter),
        kv_states,
    )


def _warm_up(cache: KvCache) -> None:
    """Evaluate a token, so that the first request does not wait until the weights are read from the disk."""
    cache.decode((0,), logits=1)
    cache.mirror.clear()


def _kv_state_identity(path: Path, settings: ModelSettings) -> Callable[[int], str]:
    """Identify a saved KV state's model file, library and cache. Call it before the load.

    Size and modification time stand for the file's content: to read it would take longer than what a saved
    state spares at a start.

    Returns:
        A function from the number of sequences to the identity. llama.cpp writes the number of streams into a
        state, and refuses the state in a cache with another number.
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
    return lambda sequences: "\n".join(map(str, (*parts, sequences)))


def _open_native(path: Path, settings: ModelSettings, on_loading: OnLoading) -> tuple[Any, Any, int]:
    """Open weights and a context. Return both and the number of sequences."""
    with LastErrors() as errors:
        model = _load_weights(path, settings, on_loading)
        if not model:
            raise ModelLoadError(
                f"llama.cpp can't load {path}: {errors.text()}",
                "Check it with: fim-lsp model verify, or choose another model.",
            )
        context, sequences = _open_context(model, settings)
        if not context:
            llama_cpp.llama_model_free(model)
            raise ModelLoadError(
                f"llama.cpp can't open a context of {settings.context_tokens} tokens for {path}: "
                + errors.text(),
                "Lower model.contextTokens, or set the KV types to f16.",
            )
    return model, context, sequences


def _load_weights(path: Path, settings: ModelSettings, on_loading: OnLoading) -> Any:
    params = llama_cpp.llama_model_default_params()
    params.n_gpu_layers = settings.gpu_layers
    params.load_mode = (
        llama_cpp.LLAMA_LOAD_MODE_MMAP * settings.mmap | llama_cpp.LLAMA_LOAD_MODE_MLOCK * settings.mlock
    )

    @llama_cpp.llama_progress_callback  # type: ignore[untyped-decorator]
    def progress(part: float, _: object) -> bool:
        return on_loading(part)

    params.progress_callback = progress
    return llama_cpp.llama_model_load_from_file(str(path).encode(), params)


def _open_context(model: Any, settings: ModelSettings) -> tuple[Any, int]:
    """Open a context with as many sequences as fit. Return it, or None, and their number."""
    sequences = settings.sequences
    while True:
        context = llama_cpp.llama_init_from_model(model, context_params(settings, sequences))
        if context or sequences == 1:
            return context, sequences
        sequences //= 2
        logger.warning("The KV cache does not fit; trying with %d sequences.", sequences)


def context_params(settings: ModelSettings, sequences: int) -> Any:
    """Return llama.cpp's parameters for a context of so many sequences."""
    params = llama_cpp.llama_context_default_params()
    threads, _ = limited_threads(settings.threads or default_threads())
    # On a CPU flash attention is slower below about 64 tokens, and every keystroke needs fewer.
    flash = settings.flash_attention == "on" or (
        settings.flash_attention == "auto" and settings.gpu_layers != 0
    )
    params.n_ctx = settings.context_tokens * sequences
    # llama.cpp aborts the process if a batch has less than a token for each sequence (0.3.36).
    params.n_batch = max(min(settings.batch_tokens, settings.context_tokens), sequences)
    params.n_ubatch = max(min(settings.ubatch_tokens, params.n_batch), sequences)
    params.n_threads = params.n_threads_batch = threads
    params.flash_attn_type = (
        llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED if flash else llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
    )
    params.type_k = KV_TYPES[settings.kv_type_k]
    params.type_v = KV_TYPES[settings.kv_type_v]
    params.n_seq_max = sequences
    params.kv_unified = False
    params.no_perf = True
    return params


def describe(path: Path, model: Any) -> ModelInfo:
    """Return what a model's file says about it."""
    metadata = _metadata(model)
    named = {key: metadata.get(f"tokenizer.ggml.fim_{key}_token_id") for key in _FIM_KEYS}
    return ModelInfo(
        name=metadata.get("general.name") or path.stem,
        path=path,
        architecture=metadata.get("general.architecture", ""),
        parameters=llama_cpp.llama_model_n_params(model),
        size_bytes=llama_cpp.llama_model_size(model),
        trained_context=llama_cpp.llama_model_n_ctx_train(model),
        metadata=metadata,
        # Only ids that the file names: llama.cpp also guesses some from token texts (<reponame> for REP).
        fim_ids={key: int(value) for key, value in named.items() if value is not None},
    )


def _metadata(model: Any) -> dict[str, str]:
    buffer = ctypes.create_string_buffer(_METADATA_LENGTH)

    def read(get: Callable[..., int], index: int) -> str:
        get(model, index, buffer, _METADATA_LENGTH)
        return buffer.value.decode("utf-8", "replace")

    return {
        read(llama_cpp.llama_model_meta_key_by_index, index): read(
            llama_cpp.llama_model_meta_val_str_by_index, index
        )
        for index in range(llama_cpp.llama_model_meta_count(model))
    }
