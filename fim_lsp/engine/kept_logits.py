"""Rows of logits that are kept for later, so that no token is evaluated again for its logits alone.

A row depends on nothing but the model, its adapters and the tokens before it. So it is found by these,
whatever happened to the KV cache since. While a user types a word, each key needs the row before that word.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from attrs import define, field

from fim_lsp.engine.sampling import Logits
from fim_lsp.types import AppliedAdapter

_Key = tuple[tuple[AppliedAdapter, ...], bytes]
_MOST_ROWS = 256
"""However small they are."""
_MOST_BYTES = 16 * 2**20
"""Enough for 80 rows of a vocabulary of 49,000 tokens, and for 27 of one of 150,000."""


@define
class KeptLogits:
    """The rows used last, shape (vocabulary,) each, by the adapters and tokens that they stand behind."""

    most_bytes: int = _MOST_BYTES
    """Of all rows; the newest row is kept whatever its size."""
    _rows: dict[_Key, Logits] = field(factory=dict, init=False, repr=False)
    """The one used last comes last."""

    def keep(self, adapters: tuple[AppliedAdapter, ...], tokens: Sequence[int], row: Logits) -> None:
        """Copy the row behind ``tokens``, and forget those that have not been used for longest."""
        kept = row.copy()
        kept.flags.writeable = False
        key = _key(adapters, tokens)
        self._rows.pop(key, None)
        self._rows[key] = kept
        most = min(_MOST_ROWS, max(1, self.most_bytes // max(1, kept.nbytes)))
        while len(self._rows) > most:
            del self._rows[next(iter(self._rows))]

    def find(self, adapters: tuple[AppliedAdapter, ...], tokens: Sequence[int]) -> Logits | None:
        """Return the row behind ``tokens``; None if it is not kept. It can't be written to."""
        key = _key(adapters, tokens)
        row = self._rows.pop(key, None)
        if row is not None:
            self._rows[key] = row
        return row

    def clear(self) -> None:
        """Forget all rows."""
        self._rows.clear()


def _key(adapters: tuple[AppliedAdapter, ...], tokens: Sequence[int]) -> _Key:
    """Return a key that is short however many tokens there are: with a digest of 128 bits."""
    return adapters, blake2b(np.array(tokens, np.int32).tobytes(), digest_size=16).digest()
