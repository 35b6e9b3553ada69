"""A tokenizer for a model whose vocabulary is not here: its tokens are pieces of text.

Prompts are built, cut and compared with it as with a real one, only that lengths are estimates. An id is the
piece itself, written as a number, so that nothing needs to be remembered: ``def`` is the bytes 01 64 65 66.
Markers have the ids below 256.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import frozen

_PIECES = re.compile(r" ?\w{1,6}|[ \t]{1,16}|\r?\n|[^\w\s]{1,2}|.", re.DOTALL)
"""Code has 3 to 4 characters a token in the vocabularies of code models; these pieces have about 3."""
_FIRST_TEXT_ID = 256


@frozen
class TextTokenizer:
    """Pieces of text as tokens, and the markers that the server's model is known to have."""

    markers: tuple[str, ...] = ()
    bos: int | None = None
    """Always None: a server puts it in front of a text by itself."""

    def encode(self, text: str) -> tuple[int, ...]:
        """Return the ids of the pieces of plain text; markers inside it stay text."""
        return tuple(
            int.from_bytes(b"\x01" + piece.encode("utf-8", "replace"), "big")
            for piece in _PIECES.findall(text)
        )

    def special(self, text: str) -> int | None:
        """Return the id of a marker, or None."""
        return self.markers.index(text) if text in self.markers else None

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids``, with markers spelled out."""
        return "".join(map(self._piece, ids))

    def is_marker(self, token: int) -> bool:
        """Tell whether an id is that of a marker."""
        return token < _FIRST_TEXT_ID

    def _piece(self, token: int) -> str:
        if token < _FIRST_TEXT_ID:
            return self.markers[token]
        return token.to_bytes((token.bit_length() + 7) // 8, "big")[1:].decode("utf-8", "replace")
