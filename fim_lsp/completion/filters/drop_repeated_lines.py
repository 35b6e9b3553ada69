"""Filters of lines that already stand above or below the cursor."""

from __future__ import annotations

from fim_lsp.code.brackets import pair
from fim_lsp.code.cursor import CursorContext
from fim_lsp.completion.repetition import repeats_lines_above, repeats_next_line, repeats_next_lines


def drop_lines_below(text: str, context: CursorContext) -> str:
    r"""Cut before the first line that repeats the next line of the document.

    A line that closes a bracket which the suggestion itself opened stays: it only looks like the one below.

    Example: above ``return x`` the text ``"x = 1\nreturn x\n"`` becomes ``"x = 1\n"``.
    """
    if not context.next_line:
        return text
    start = 0
    for line in text.split("\n"):
        repeats = repeats_next_line(line, start, context) or (
            start and repeats_next_lines(text[start:], context)
        )
        if repeats and not _closes_own(text, start, context):
            return text[:start]
        start += len(line) + 1
    return text


def drop_lines_above(text: str, context: CursorContext) -> str:
    """Drop a text whose lines are the last lines above the cursor, once or over and over.

    Example: on a blank line below ``total += 1`` the text ``total += 1`` becomes ``""``.
    """
    return "" if repeats_lines_above(text, context) else text


def _closes_own(text: str, start: int, context: CursorContext) -> bool:
    return pair(context.scan_inserted(text).marks).across(start) > 0
