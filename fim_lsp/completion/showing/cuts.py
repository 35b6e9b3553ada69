"""Shorten a text before it is shown: to lines that parse, and to one piece of a long text. Pure.

A text is only cut at the end of a line where nothing that it opened is left open.
"""

from __future__ import annotations

from collections.abc import Iterator

from fim_lsp.code.cursor import CursorContext
from fim_lsp.code.languages import find_language
from fim_lsp.code.syntax import count_syntax_errors
from fim_lsp.completion.filters.replace_range import compute_replace_range

_FEWEST_LEFT = 2
"""Lines that are worth a piece of their own; fewer are shown with the lines before."""
_MOST_PARSES = 4
"""Cuts that are tried: each costs a parse."""


def cut_to_parsing_lines(text: str, context: CursorContext) -> str:
    r"""Cut a text of several lines back to the last line up to which it adds no syntax error.

    The first line stays in any case: most code does not parse while it is written.

    Example: below ``def f():`` the text ``"x = 1\nreturn )"`` becomes ``x = 1``.
    """
    if "\n" not in text.strip():
        return text
    before = _errors_with("", context)
    if _errors_with(text, context) <= before:
        return text
    ends = list(line_ends(text, context))
    for end in ends[: -_MOST_PARSES - 1 : -1]:
        if _errors_with(text[:end], context) <= before:
            return text[:end]
    return text[: ends[0]] if ends else text


def cut_to_piece(text: str, context: CursorContext, lines: int) -> str:
    r"""Cut a long text behind at most so many lines; it stays where nothing fits or hardly anything is left.

    Example: with 2 lines the text ``"a\nb\nc\nd"`` becomes ``"a\nb"``.
    """
    if len(_filled(text)) < lines + _FEWEST_LEFT:
        return text
    fitting = [end for end in line_ends(text, context) if len(_filled(text[:end])) <= lines]
    return text[: fitting[-1]] if fitting else text


def line_ends(text: str, context: CursorContext) -> Iterator[int]:
    """Yield the ends of lines, but the last one's, where nothing is open that the text opened itself."""
    indented_blocks = find_language(context.language_id).indented_blocks
    end = text.find("\n")
    while end >= 0:
        part = text[:end].rstrip()
        opens = (indented_blocks and part.endswith(":")) or context.read_inserted(part).own
        if part.strip() and not opens:
            yield len(part)
        end = text.find("\n", end + 1)


def _errors_with(text: str, context: CursorContext) -> int:
    return count_syntax_errors(context, text, compute_replace_range(text, context))


def _filled(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]
