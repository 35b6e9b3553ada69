"""Tokenise text in chunks that keep their tokens while text around them changes.

A document is tokenised again at each keystroke. Its chunks are cut where the content says so, and each
chunk's tokens are remembered, so that typing costs the tokens of one chunk (content-defined chunking, as in
LBFS; Muthitacharoen et al., 2001).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

TokenArray = npt.NDArray[np.int32]
Encode = Callable[[str], Sequence[int]]
"""From plain text to token ids; safe from any thread."""

_REMEMBERED = 4096
"""Chunks whose tokens are kept, about 200 tokens each: some 4 MB."""
_FEW_UNINDENTED, _FEW_LINES = 4, 32
"""One of so many lines begins a chunk: of those without indentation, and of all."""
_COMPARED = 8
"""Characters at the beginning of a line that decide whether it begins a chunk."""
_LONGEST_CHUNK = 6000
"""Characters after which any line begins a chunk, where the content says it nowhere."""
_BREAK, _BLANKS = ord("\n"), (ord(" "), ord("\t"), ord("\n"))


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

    A chunk begins with the line break before a line that its own first characters choose, wherever the text
    begins: an edit changes the chunk that it is in, and no other. Vocabularies join a line's break and its
    indentation, so the blanks before that line belong to it.

    Example: where the line ``c`` is chosen, ``"a\nb\n\nc"`` -> ``"a\nb"``, ``"\n\nc"``.
    """
    seams = [0]
    for line in _chosen_lines(text):
        seam = len(text[max(0, line - _LONGEST_CHUNK) : line].rstrip()) + max(0, line - _LONGEST_CHUNK)
        if seam > seams[-1]:
            seams.append(seam)
    return [text[start:end] for start, end in pairwise([*seams, len(text)]) if end > start]


def _chosen_lines(text: str) -> list[int]:
    """Return the offsets of the lines that begin a chunk."""
    # One value for each character: offsets stay those of the text.
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    starts = np.flatnonzero(codes == _BREAK) + 1
    starts = starts[starts + _COMPARED <= len(codes)]
    if not starts.size:
        return []
    beginnings = codes[starts[:, None] + np.arange(_COMPARED)].astype(np.int64)
    mixed = (beginnings * (2 * np.arange(_COMPARED) + 1)).sum(axis=1) * 2654435761 >> 12
    unindented = ~np.isin(beginnings[:, 0], _BLANKS)
    chosen = (unindented & (mixed % _FEW_UNINDENTED == 0)) | (
        (beginnings[:, 0] != _BREAK) & (mixed % _FEW_LINES == 1)
    )
    lines = starts[chosen].tolist()
    return _without_long_gaps(lines, starts, len(text))


def _without_long_gaps(lines: list[int], starts: npt.NDArray[np.int64], length: int) -> list[int]:
    """Return the lines, and others between those that are too far apart."""
    filled: list[int] = []
    for before, line in pairwise([0, *lines, length]):
        while line - before > _LONGEST_CHUNK:
            index = int(starts.searchsorted(before + _LONGEST_CHUNK))
            if index == len(starts) or starts[index] >= line:
                break
            before = int(starts[index])
            filled.append(before)
        filled.append(line)
    return filled[:-1]
