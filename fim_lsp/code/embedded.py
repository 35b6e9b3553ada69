"""Find the script or style of a markup document that the cursor is in, and its language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from attrs import frozen

from fim_lsp.code.languages import find_language

_TAG = re.compile(r"<(script|style)\b([^>]*)>", re.IGNORECASE)
_LANGUAGE = re.compile(r"\b(?:lang|type)\s*=\s*[\"']?(?:text/|application/)?([\w+.-]*)")
_LANGUAGES: Mapping[str, str] = MappingProxyType(
    {
        "javascript": "javascript",
        "js": "javascript",
        "module": "javascript",
        "babel": "javascriptreact",
        "jsx": "javascriptreact",
        "ts": "typescript",
        "typescript": "typescript",
        "tsx": "typescriptreact",
        "json": "json",
        "ld+json": "json",
        "importmap": "json",
        "css": "css",
        "postcss": "css",
        "scss": "scss",
        "sass": "sass",
        "less": "less",
        "stylus": "stylus",
    }
)
"""Languages by what the tag says of them; a template of another kind is markup."""
_DEFAULT: Mapping[str, str] = MappingProxyType({"script": "javascript", "style": "css"})

_REACH = 200_000
"""Characters before the cursor in which a tag is looked for."""


@frozen
class Embedded:
    """A script or style."""

    language_id: str
    start: int
    """Offset of its first line in the document, behind the line of its tag."""
    close: str
    """The text that ends it."""


def find_embedded(text: str, offset: int, language_id: str) -> Embedded | None:
    r"""Return the script or style around an offset; None outside of one, and on the line of its tag.

    Example: on the second line of ``"<script lang=\"ts\">\nlet a"`` of HTML it is TypeScript.
    """
    if not find_language(language_id).markup:
        return None
    reach = max(0, offset - _REACH)
    opening = max(text.rfind(f"<{name}", reach, offset) for name in _DEFAULT)
    tag = _TAG.match(text, opening, offset) if opening >= 0 else None
    if tag is None or tag[2].endswith("/"):
        return None
    name = tag[1].lower()
    start = text.find("\n", tag.end(), offset) + 1
    if not start or text.find(f"</{name}", tag.end(), offset) >= 0:
        return None
    said = _LANGUAGE.search(tag[2])
    embedded = _LANGUAGES.get(said[1].lower()) if said and said[1] else _DEFAULT[name]
    return None if embedded is None else Embedded(embedded, start, f"</{name}")
