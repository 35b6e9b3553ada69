"""Open weights and a context with the settings as given, and say what was opened."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llama_cpp
from attrs import evolve

from fim_lsp.engine.base import ModelLoadError, OnLoading
from fim_lsp.engine.kv_state_store import KvStateStore
from fim_lsp.engine.llama.adapters import CheckAdapter, LoadedAdapters
from fim_lsp.engine.llama.engine import LlamaEngine
from fim_lsp.engine.llama.kv_state import identity_of, make_saver
from fim_lsp.engine.llama.log import LastErrors, follow_log
from fim_lsp.engine.llama.threads import Threads, default_threads
from fim_lsp.engine.llama.tokenizer import LlamaTokenizer
from fim_lsp.engine.mirror import Mirror
from fim_lsp.engine.thread_control import Pace
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


def library_features() -> str:
    """What this build of llama.cpp can use, for ``fim-lsp doctor``."""
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

    ``name``, ``template_hint`` and ``notice`` are what the catalog knows beyond the file itself;
    ``check_adapter`` looks at each adapter before llama.cpp does. Evaluated states are saved in the folder
    ``kv_state_folder``, where one is given.

    Check the file with :func:`fim_lsp.models.gguf_header.check_model` before: llama.cpp aborts the whole
    process on some broken files.

    Raises:
        ModelLoadError: with llama.cpp's own last error line.
    """
    follow_log()
    llama_cpp.llama_backend_init()
    identity = identity_of(path, settings)
    model, context, sequences = _open_native(path, settings, on_loading)
    vocab = llama_cpp.llama_model_get_vocab(model)
    tokenizer = LlamaTokenizer(vocab)
    info = _describe(path, model, context)
    vocabulary = tokenizer.vocabulary()
    info = evolve(
        info,
        name=name or info.name,
        end_ids=vocabulary.ends,
        template_hint=template_hint,
        notice=notice,
    )
    adapters = LoadedAdapters(model, context, check_adapter)
    mirror = Mirror.of(sequences)
    store = (
        KvStateStore(kv_state_folder, identity(mirror), settings.kv_state_mb * 1_000_000)
        if kv_state_folder
        else None
    )
    # Given by hand they are a command; and where a GPU computes, they hardly matter.
    steady = settings.threads is not None or settings.gpu_layers != 0
    engine = LlamaEngine(
        info,
        tokenizer,
        model,
        context,
        vocabulary,
        settings,
        adapters,
        mirror,
        threads=Threads(context, None if steady else Pace(default_threads())),
        kv_states=make_saver(store, context, mirror) if store is not None else None,
    )
    engine.warm_up()
    speculation = engine.decide_speculation()
    logger.info("Speculative decoding is %s", speculation.reason)
    return evolve(engine, info=evolve(info, speculation=speculation))


def _open_native(path: Path, settings: ModelSettings, on_loading: OnLoading) -> tuple[Any, Any, int]:
    """Weights, a context, and how many sequences it has."""
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
    """A context, or None, with as many sequences as fit of those that the settings ask for."""
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
    threads = settings.threads or default_threads()
    # Flash attention is slower on a CPU below about 64 tokens, which is every keystroke.
    flash = settings.flash_attention == "on" or (
        settings.flash_attention == "auto" and settings.gpu_layers != 0
    )
    params.n_ctx = settings.context_tokens * sequences
    # With less than a token for each sequence llama.cpp aborts the process (0.3.36).
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


def _describe(path: Path, model: Any, context: Any) -> ModelInfo:
    metadata = _metadata(model)
    named = {key: metadata.get(f"tokenizer.ggml.fim_{key}_token_id") for key in _FIM_KEYS}
    return ModelInfo(
        name=metadata.get("general.name") or path.stem,
        path=path,
        architecture=metadata.get("general.architecture", ""),
        parameters=llama_cpp.llama_model_n_params(model),
        size_bytes=llama_cpp.llama_model_size(model),
        trained_context=llama_cpp.llama_model_n_ctx_train(model),
        context=llama_cpp.llama_n_ctx_seq(context),
        metadata=metadata,
        # Only what the file names: llama.cpp also guesses ids from token texts (<reponame> for REP).
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
