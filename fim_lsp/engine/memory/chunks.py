"""Tokenise text in chunks that keep their tokens while text around them changes.

A document is tokenised again at each keystroke. Its chunks are cut where the content says so, and each
chunk's tokens are remembered, so that typing costs the tokens of one chunk.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

TokenArray = npt.NDArray[np.int32]
Encode = Callable[[str], Sequence[int]]
"""From plain text to token ids; safe from any thread."""

_CHUNK_CHARS = 600
"""Characters after which the next line without indentation begins a chunk."""
_LONGEST_CHUNK = 4000
"""Characters after which any line begins one."""
_REMEMBERED = 4096
"""Chunks whose tokens are kept, about 200 tokens each: some 4 MB."""
_LINE_START = re.compile(r"\s*\n(?=[ \t]*\S)")
"""The blanks before a line. Vocabularies join a line's break and its indentation, so a chunk begins there."""


class ChunkEncoder:
    """From text to tokens, chunk by chunk. Any thread may use it.

    Args:
        encode: the model's tokenizer.
    """

    def __init__(self, encode: Encode) -> None:
        @lru_cache(maxsize=_REMEMBERED)
        def encode_chunk(chunk: str) -> TokenArray:
            tokens = np.array(encode(chunk), dtype=np.int32)
            tokens.flags.writeable = False
            return tokens

        self._encode_chunk = encode_chunk

    def encode(self, text: str) -> TokenArray:
        """Return the tokens of a text, shape (tokens,).

        They are those of the whole text but for a token at the seam of two chunks here and there.
        """
        parts = [self._encode_chunk(chunk) for chunk in split(text)]
        return np.concatenate(parts) if parts else np.empty(0, np.int32)


def split(text: str) -> list[str]:
    r"""Cut a text into chunks, which spell it together.

    A chunk ends with the last visible character of a line, and the next begins with the line break. Where it
    ends depends on the text since its own beginning alone, so that an edit changes few chunks.

    Example: with short limits ``"a\nb\n\nc"`` -> ``"a\nb"``, ``"\n\nc"``.
    """
    chunks: list[str] = []
    start = 0
    for found in _LINE_START.finditer(text):
        length = found.start() - start
        if length < _CHUNK_CHARS:
            continue
        if length >= _LONGEST_CHUNK or text[found.end()] not in " \t":
            chunks.append(text[start : found.start()])
            start = found.start()
    return [*chunks, text[start:]] if start < len(text) else chunks
