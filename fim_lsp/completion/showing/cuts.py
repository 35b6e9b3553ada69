"""Shorten a text before it is shown: to what parses, and to one piece of a long text. Pure.

A text of several lines is only cut at the end of a line where nothing that it opened is left open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from fim_lsp.code.cursor import CursorContext
from fim_lsp.code.languages import find_language
from fim_lsp.code.syntax import count_syntax_errors
from fim_lsp.completion.filters.replace_range import compute_replace_range

_FEWEST_LEFT = 2
"""Lines that are worth a piece of their own; fewer are shown with the lines before."""
_MOST_PARSES = 4
"""Ends of lines that are tried: each costs a parse."""
_MOST_PARSES_OF_LINE = 8
"""Ends of words and marks that are tried within a line."""
_WORD_OR_MARK = re.compile(r"\w+|[^\w\s]")


def cut_to_parsing_lines(text: str, context: CursorContext) -> str:
    r"""Cut a text of several lines back to the last line up to which it adds no syntax error.

    What the text leaves open is an error, unlike within one line. The first line stays in any case: most
    code does not parse while it is written.

    Example: below ``def f():`` the text ``"x = 1\nreturn )"`` becomes ``x = 1``.
    """
    if "\n" not in text.strip():
        return text
    errors = _errors_with(text, context)
    if errors == 0:
        return text
    before = context.syntax_errors
    ends = list(line_ends(text, context))
    for end in ends[: -_MOST_PARSES - 1 : -1]:
        if _errors_with(text[:end], context) <= _allowed(errors, before):
            return text[:end]
    if errors <= before:
        return text
    first = len(text) - len(text.lstrip()) + len(text.lstrip().partition("\n")[0])
    return text[: ends[0] if ends else first]


def cut_to_parsing_part(text: str, context: CursorContext) -> str:
    """Cut a text of one line back to the longest part that adds no syntax error.

    What the text leaves open, and a block that is still to come, are no errors. Code that does not parse
    while the line is missing parses with the line; so a text that does not mend it becomes the longest
    part that does, if there is one.

    Example: before ``): void {`` the text ``event) {`` becomes ``event)``.

    Returns:
        The part; the text itself if nothing is to be cut; "" if it adds an error and so does every part.
    """
    if "\n" in text.strip(" \t"):
        return text
    errors = _errors_with(text, context)
    for whole in _as_if_complete(text, context):
        if errors == 0:
            return text
        errors = min(errors, _errors_with(whole, context))
    if errors == 0:
        return text
    before = context.syntax_errors
    for end in islice(_part_ends(text, context), _MOST_PARSES_OF_LINE):
        if _errors_with(text[:end], context) <= _allowed(errors, before):
            return text[:end]
    return "" if errors > before else text


def _allowed(errors: int, before: int) -> int:
    """Return the errors that a part may leave, of a text with which there are ``errors``.

    A text that adds none still has parts worth taking if with them there are none left at all.
    """
    return before if errors > before else 0


def _as_if_complete(text: str, context: CursorContext) -> Iterator[str]:
    """Yield the text with what it leaves open closed, and with its block begun; nothing if it is complete."""
    nesting = context.read_inserted(text)
    closers = "".join(pair.close for pair in reversed(nesting.open[len(nesting.open) - nesting.own :]))
    if closers:
        text += f"x{closers}" if text[-1] in "([" else closers
        yield text
    if find_language(context.language_id).indented_blocks and (closers or text.endswith(":")):
        yield text + (" pass" if text.endswith(":") else ": pass")


def _part_ends(text: str, context: CursorContext) -> Iterator[int]:
    """Yield the ends of words and marks within a text, the last first.

    They are those where the text has opened nothing, or opens a bracket.
    """
    for match in reversed(list(_WORD_OR_MARK.finditer(text))):
        end = match.end()
        if end < len(text) and (match.group() in "([{" or not context.read_inserted(text[:end]).own):
            yield end


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
