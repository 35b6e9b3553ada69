"""Filters of line breaks and blanks."""

from __future__ import annotations

from fim_lsp.code.cursor import CursorContext
from fim_lsp.code.lines import only_closers
from fim_lsp.completion.filters.replace_range import compute_replace_range

_CLOSING = frozenset(")]}>")
_QUOTES = frozenset("\"'`")


def normalize_newlines(text: str, context: CursorContext) -> str:
    r"""Write every line break as ``\n``, whatever the document uses. Editors insert their own.

    Example: ``"a\r\nb"`` becomes ``"a\nb"``.
    """
    return text.replace("\r\n", "\n").replace("\r", "\n")


def drop_blank(text: str, context: CursorContext) -> str:
    r"""Drop a suggestion that shows nothing.

    Example: ``"\n    "`` becomes ``""``.
    """
    return text if text.strip() else ""


def break_before_code(text: str, context: CursorContext) -> str:
    r"""End text of several lines before all the code of a line with a line break: the code moves down.

    A model leaves that break out now and then, as the code behind the cursor begins a line in its prompt.

    Example: with the cursor before ``return x``, ``"a = 1\nb = 2"`` becomes ``"a = 1\nb = 2\n"``.
    """
    if context.line_prefix.strip() or only_closers(context.line_suffix):
        return text
    if "\n" not in text or text != text.rstrip():
        return text
    return f"{text}\n{context.line_prefix}"


def trim_end(text: str, context: CursorContext) -> str:
    r"""Strip trailing blanks, but not those that part the text from what follows on the cursor's line.

    A last line break stays where the rest of the line belongs on a line of its own: code that the text goes
    before, or the closer of a text of several lines.

    Example: at the end of a line ``"a = 1  \n"`` becomes ``"a = 1"``.
    """
    stripped = text.rstrip()
    tail = text[len(stripped) :]
    if not tail or not stripped:
        return stripped
    left = context.line_suffix[compute_replace_range(stripped, context) :].lstrip()
    if not left:
        return stripped
    is_code = not only_closers(left[0]) or _opens_string(left[0], stripped, context)
    if "\n" in tail and (is_code or ("\n" in stripped and left[0] in _CLOSING)):
        return stripped + tail[tail.rfind("\n") :]
    return text if is_code and "\n" not in tail else stripped


def _opens_string(char: str, text: str, context: CursorContext) -> bool:
    """Tell whether the first character behind the cursor is a quote and begins a string there."""
    return char in _QUOTES and context.scan_inserted(text).inside is None
