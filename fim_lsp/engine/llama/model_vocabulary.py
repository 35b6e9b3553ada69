"""The vocabulary of a GGUF file without its weights, for a model that runs on another server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import llama_cpp
from attrs import evolve, field, frozen

from fim_lsp.engine.base import ModelLoadError
from fim_lsp.engine.llama.loading import describe
from fim_lsp.engine.llama.log import LastErrors, follow_log
from fim_lsp.engine.llama.tokenizer import LlamaTokenizer
from fim_lsp.types import ModelInfo


@frozen(eq=False)
class ModelVocabulary:
    """A tokenizer, the bytes of its tokens, and what the file says about the model."""

    tokenizer: LlamaTokenizer
    pieces: tuple[bytes, ...] = field(repr=False)
    info: ModelInfo
    _model: Any = field(repr=False)
    """Kept as long as the vocabulary is read."""


def open_model_vocabulary(path: Path) -> ModelVocabulary:
    """Read a model's vocabulary. It stays open as long as the process: a few megabytes.

    Raises:
        ModelLoadError: with llama.cpp's own last error line.
    """
    follow_log()
    llama_cpp.llama_backend_init()
    params = llama_cpp.llama_model_default_params()
    params.vocab_only = True
    with LastErrors() as errors:
        model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        if not model:
            raise ModelLoadError(f"llama.cpp can't read the vocabulary of {path}: {errors.text()}")
    tokenizer = LlamaTokenizer(llama_cpp.llama_model_get_vocab(model))
    vocabulary = tokenizer.vocabulary()
    info = evolve(describe(path, model), end_ids=vocabulary.ends, path=None)
    return ModelVocabulary(tokenizer, vocabulary.pieces, info, model)
