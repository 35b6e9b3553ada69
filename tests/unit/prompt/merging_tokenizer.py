"""A tokenizer small enough to read: bytes, a few merges, and a table of special tokens."""

from __future__ import annotations

from collections.abc import Iterable

from fim_lsp.prompt.families import FAMILIES
from fim_lsp.prompt.markers import strip_marker
from fim_lsp.types import CompletionRequest, DocumentSnapshot, FimTemplate

_MERGES = (b"    ", b"def ", b"return ", b"self", b"import ", b"\n    ", b"<|", b"|>", b"ing", b"th")
_FIRST_SPECIAL = 256 + len(_MERGES)

EVERY_MARKER = tuple(
    dict.fromkeys(
        strip_marker(marker)
        for family in FAMILIES
        for marker in (*family.template.markers, "<|assistant|>", "<|user|>")
    )
)


class MergingTokenizer:
    """UTF-8 bytes as ids, longest merge first; special tokens only by :meth:`special`."""

    def __init__(self, specials: Iterable[str] = (), bos: str = "") -> None:
        texts = tuple(dict.fromkeys((*([bos] if bos else []), *specials)))
        self.specials = {text: _FIRST_SPECIAL + index for index, text in enumerate(texts)}
        self.bos: int | None = self.specials[bos] if bos else None
        self.encoded_chars = 0

    def encode(self, text: str) -> tuple[int, ...]:
        self.encoded_chars += len(text)
        data, offset, ids = text.encode("utf-8"), 0, []
        while offset < len(data):
            merge = next((i for i, m in enumerate(_MERGES) if data.startswith(m, offset)), None)
            ids.append(data[offset] if merge is None else 256 + merge)
            offset += 1 if merge is None else len(_MERGES[merge])
        return tuple(ids)

    def special(self, text: str) -> int | None:
        return self.specials.get(text)

    def decode(self, ids: tuple[int, ...]) -> str:
        spelled = {token: text.encode() for text, token in self.specials.items()}
        spelled |= {256 + index: merge for index, merge in enumerate(_MERGES)}
        return b"".join(spelled.get(token) or bytes([token]) for token in ids).decode("utf-8", "replace")

    def special_count(self, ids: Iterable[int]) -> int:
        return sum(token >= _FIRST_SPECIAL for token in ids)


def tokenizer_for(template: FimTemplate, bos: str = "") -> MergingTokenizer:
    return MergingTokenizer((strip_marker(marker) for marker in template.markers), bos)


def request_at(
    marked: str, *, uri: str = "file:///project/src/shop.py", language: str = "python"
) -> CompletionRequest:
    """Provide a request at the ``█`` in ``marked``."""
    offset = marked.index("█")
    return request(marked[:offset] + marked[offset + 1 :], offset, uri=uri, language=language)


def request(
    text: str,
    offset: int,
    *,
    uri: str = "file:///project/src/shop.py",
    language: str = "python",
    selected: str = "",
) -> CompletionRequest:
    return CompletionRequest(DocumentSnapshot(uri, language, 1, text), offset, selected_text=selected)
