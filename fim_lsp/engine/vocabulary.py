"""The bytes of every token, for continuing by text and for healing the token at the cursor."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

TokenIds = npt.NDArray[np.int64]


class Vocabulary:
    """A table of token pieces, searchable by their first bytes.

    Args:
        pieces: The bytes of each token, by its id; empty for markers.
        ends: Ids that the model's own file counts as ends of a generation.
    """

    def __init__(self, pieces: Sequence[bytes], ends: Iterable[int] = ()) -> None:
        self.pieces = tuple(pieces)
        self.ends = frozenset(ends)
        order = sorted((piece, token) for token, piece in enumerate(pieces) if piece)
        self._sorted = [piece for piece, _ in order]
        self._ids = np.array([token for _, token in order], dtype=np.int64)

    def beginning_with(self, start: bytes, shorter_ones: Sequence[int] | None = None) -> TokenIds:
        r"""Return the ids of all tokens that can spell ``start``: they begin with it, or it begins with them.

        The shorter ones matter because a word's spaces are split: to spell ``"\n    "``, a model that writes
        ``"\n   "`` + ``" return"`` must be allowed its shorter first token.

        Args:
            start: The bytes to spell.
            shorter_ones: The tokens shorter than ``start`` that may begin to spell it; None for any.
        """
        low = bisect.bisect_left(self._sorted, start)
        high = bisect.bisect_left(self._sorted, _successor(start)) if start else len(self._sorted)
        shorter = self.beginnings_of(start) if shorter_ones is None else shorter_ones
        return np.concatenate([self._ids[low:high], np.array(shorter, dtype=np.int64)])

    def beginnings_of(self, text: bytes) -> tuple[int, ...]:
        """Return the ids of the tokens that ``text`` begins with, and that are shorter than it."""
        return tuple(
            int(self._ids[index])
            for length in range(1, len(text))
            if (index := bisect.bisect_left(self._sorted, text[:length])) < len(self._sorted)
            and self._sorted[index] == text[:length]
        )


def _successor(start: bytes) -> bytes:
    """Return the smallest byte string that is greater than all that begin with ``start``."""
    kept = start.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else b"\xff" * (len(start) + 64)
