"""Open the vocabulary of a model's file without its weights: the process that indexes needs no more."""

from __future__ import annotations

import ctypes
import hashlib
from pathlib import Path

import llama_cpp

from fim_lsp.engine.base import ModelLoadError
from fim_lsp.engine.llama.log import follow_log
from fim_lsp.engine.llama.tokenizer import LlamaTokenizer

_PROBE = "def f(x):\n    return {'a': [1, 22, 333]}  # caf\u00e9 \u4e2d\n\n\tif (x != NULL) { i++; }\r\n"
_SETTINGS = (b"tokenizer.ggml.model", b"tokenizer.ggml.pre", b"tokenizer.ggml.add_space_prefix")
_LONGEST = 256


def open_vocabulary(path: Path) -> tuple[LlamaTokenizer, str]:
    """Return the tokenizer of a GGUF file, and what identifies its vocabulary.

    Two files with the same vocabulary, for example of other quantisations, have the same identity. Check the
    file before, as for :func:`fim_lsp.engine.llama.loading.open_llama`.

    Raises:
        ModelLoadError: llama.cpp can't read it.
    """
    follow_log()
    llama_cpp.llama_backend_init()
    parameters = llama_cpp.llama_model_default_params()
    parameters.vocab_only = True
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), parameters)
    if not model:
        raise ModelLoadError(f"The vocabulary of {path} could not be read.")
    tokenizer = LlamaTokenizer(llama_cpp.llama_model_get_vocab(model))
    digest = hashlib.blake2b(digest_size=16)
    buffer = bytearray(_LONGEST)
    for key in _SETTINGS:
        native = (ctypes.c_char * _LONGEST).from_buffer(buffer)
        length = llama_cpp.llama_model_meta_val_str(model, key, native, _LONGEST)
        digest.update(key + bytes(buffer[: max(0, min(length, _LONGEST))]))
    for piece in tokenizer.vocabulary().pieces:
        digest.update(len(piece).to_bytes(4, "little") + piece)
    digest.update(repr(tokenizer.encode(_PROBE)).encode())
    return tokenizer, digest.hexdigest()
