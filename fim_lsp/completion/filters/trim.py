"""Filter: blanks at the end, which nobody sees until they are in the way."""

from __future__ import annotations

from fim_lsp.code.cursor import surroundings
from fim_lsp.code.lexical import scan
from fim_lsp.completion.filters.replace_range import only_closers, replaced
from fim_lsp.types import CompletionRequest

_CLOSING = frozenset(")]}>")
_QUOTES = frozenset("\"'`")


def trim(text: str, request: CompletionRequest) -> str:
    """Strip trailing blanks, but not those that part the text from what follows on the cursor's line.

    A last line break stays where the rest of the line belongs on a line of its own: code that the text goes
    before, or the closer of a text of several lines.
    """
    stripped = text.rstrip()
    tail = text[len(stripped) :]
    if not tail or not stripped:
        return stripped
    rest = surroundings(request).rest[replaced(stripped, request) :].lstrip()
    if not rest:
        return stripped
    is_code = not only_closers(rest[0]) or _opens_string(rest[0], stripped, request)
    if "\n" in tail and (is_code or ("\n" in stripped and rest[0] in _CLOSING)):
        return stripped + tail[tail.rfind("\n") :]
    return text if is_code and "\n" not in tail else stripped


def _opens_string(char: str, text: str, request: CompletionRequest) -> bool:
    """Whether the first character behind the cursor is a quote and begins a string there."""
    language = request.document.language_id
    inside = scan(surroundings(request).before, language).inside
    return char in _QUOTES and scan(text, language, inside).inside is None
