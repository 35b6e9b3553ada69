"""The model's own tokenizer. Any thread may use it: it only reads the vocabulary."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import llama_cpp

from fim_lsp.engine.base import DecodeError
from fim_lsp.engine.vocabulary import Vocabulary


class LlamaTokenizer:
    """The model's own tokenizer. Markers in plain text stay text (``parse_special`` is off)."""

    def __init__(self, vocab: Any) -> None:
        self._vocab = vocab
        self._size = llama_cpp.llama_vocab_n_tokens(vocab)
        # SentencePiece vocabularies put a space before each text: put it before a line break, and drop both.
        self._spaced = llama_cpp.llama_vocab_type(vocab) == llama_cpp.LLAMA_VOCAB_TYPE_SPM
        self._lead = self._tokenize("\n") if self._spaced else ()
        # Suffixes and prefix windows are encoded again at every keystroke.
        self.encode = lru_cache(maxsize=512)(self._encode)
        self.special = lru_cache(maxsize=256)(self._special)

    @property
    def bos(self) -> int | None:
        """The id that prompts begin with, or None if the model wants none."""
        wants = llama_cpp.llama_vocab_get_add_bos(self._vocab)
        return int(llama_cpp.llama_vocab_bos(self._vocab)) if wants else None

    def _encode(self, text: str) -> tuple[int, ...]:
        if not self._spaced:
            return self._tokenize(text)
        return self._tokenize("\n" + text)[len(self._lead) :]

    def _special(self, text: str) -> int | None:
        tokens = self._tokenize(text, parse_special=True)
        is_one_marker = len(tokens) == 1 and self.is_special(tokens[0])
        return tokens[0] if is_one_marker else None

    def is_special(self, token: int) -> bool:
        """Return whether a token is a marker rather than text."""
        attributes = llama_cpp.llama_vocab_get_attr(self._vocab, token)
        marker = llama_cpp.LLAMA_TOKEN_ATTR_CONTROL | llama_cpp.LLAMA_TOKEN_ATTR_USER_DEFINED
        return bool(attributes & marker)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids``, with special tokens spelled out."""
        return b"".join(self.piece(token, special=True) for token in ids).decode("utf-8", "replace")

    def piece(self, token: int, *, special: bool) -> bytes:
        """Return the bytes of one token. For long pieces llama.cpp first returns the size that it needs."""
        buffer = ctypes.create_string_buffer(32)
        length = llama_cpp.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, special)
        if length < 0:
            buffer = ctypes.create_string_buffer(-length)
            length = llama_cpp.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, special)
        return buffer.raw[:length]

    def vocabulary(self) -> Vocabulary:
        """Return the pieces of all tokens. Those of markers are empty, so user text never matches them."""
        return Vocabulary(
            [
                b"" if self.is_special(token) else self.piece(token, special=False)
                for token in range(self._size)
            ],
            [token for token in range(self._size) if llama_cpp.llama_vocab_is_eog(self._vocab, token)],
        )

    def close(self) -> None:
        """Drop the vocabulary, which is freed with the model. A later call raises instead of crashing."""
        del self._vocab

    def _tokenize(self, text: str, *, parse_special: bool = False) -> tuple[int, ...]:
        data = text.encode("utf-8", "replace")
        room = len(data) + 2
        buffer = (llama_cpp.llama_token * room)()
        count = llama_cpp.llama_tokenize(self._vocab, data, len(data), buffer, room, False, parse_special)
        if count < 0:
            raise DecodeError(f"llama.cpp could not tokenise {len(data)} bytes.")
        return tuple(buffer[:count])
