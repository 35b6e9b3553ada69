"""A base small enough to read: bytes as ids, and the markers of a template behind them."""

from __future__ import annotations

from pathlib import Path

from fim_lsp.prompt.templates import find_template
from training.bases import Base

_FIRST_SPECIAL = 256


class MarkerTokenizer:
    """UTF-8 bytes as ids, markers behind them."""

    def __init__(self, *specials: str) -> None:
        self.specials = {text: _FIRST_SPECIAL + index for index, text in enumerate(specials)}
        self.bos: int | None = None

    def encode(self, text: str) -> tuple[int, ...]:
        return tuple(text.encode())

    def special(self, text: str) -> int | None:
        return self.specials.get(text)

    def decode(self, ids: tuple[int, ...]) -> str:
        spelled = {token: text.encode() for text, token in self.specials.items()}
        return b"".join(spelled.get(token) or bytes([token]) for token in ids).decode("utf-8", "replace")


def make_base(template: str = "fim-lsp") -> Base:
    found = find_template(template)
    tokenizer = MarkerTokenizer(*found.markers)
    end = tokenizer.specials[found.stops[0]]
    return Base("bytes", Path("bytes.gguf"), tokenizer, found, end, 300, "0" * 64)
