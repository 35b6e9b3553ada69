"""Decide whether a suggestion may have several lines."""

from __future__ import annotations

import re

from fim_lsp.code.cursor import CursorContext
from fim_lsp.code.languages import find_language
from fim_lsp.code.lexical import scan, without_comment
from fim_lsp.code.lines import indent_width, only_closers
from fim_lsp.code.syntax import ends_in_header, has_grammar
from fim_lsp.settings import CompletionSettings
from fim_lsp.types import Trigger

_OPENS = re.compile(r"(?:[(\[{]|=>|->)$")
_LABEL = re.compile(r"\s*(?:case\b.*|default|public|private|protected)\s*:$")
_OPENING_WORD = re.compile(r"\b(?:do|then|begin|else|repeat|of)$|\bdo\s*\|[^|]*\|$")
"""Words that begin a block at the end of a line, in languages without a grammar here."""


def wants_multiline(
    context: CursorContext,
    trigger: Trigger,
    settings: CompletionSettings,
    *,
    one_line_first: bool = False,
    accepted: bool = False,
) -> bool:
    """Decide whether a suggestion may have several lines.

    The setting ``never`` is kept even for a suggestion asked for by a key; otherwise such a suggestion has
    as many lines as it likes. While typing (``auto``), several lines come only at the end of a line, outside
    line comments and one-line strings, where the line is blank or a block may begin: anywhere else they
    jump into view with every keystroke and cost time that the user spends typing on.

    Args:
        context: the code around the cursor.
        trigger: the cause of the request.
        settings: the setting ``multiline``.
        one_line_first: on a blank line too, several lines come only where a block begins.
        accepted: the user has just accepted what stands in front of the cursor, and may want more.

    Example: behind ``def f(x):`` several lines, behind ``x = `` one.
    """
    if settings.multiline != "auto":
        return settings.multiline == "always"
    if trigger is Trigger.INVOKED:
        return True
    if not only_closers(context.line_suffix) or context.scope.one_line:
        return False
    line = context.line_prefix.rstrip()
    if accepted or (not line and not one_line_first):
        return True
    if not line:
        return _begins_block(context)
    return opens_block(context)


def opens_block(context: CursorContext) -> bool:
    """Tell whether a block or a list may begin behind the cursor's line."""
    line = context.line_prefix.rstrip()
    return _ends_in_opener(line, context.language_id) or ends_in_header(context)


def _begins_block(context: CursorContext) -> bool:
    """Tell whether a blank line is the first of a block: below a header, with nothing in the block yet."""
    above = context.line_above.rstrip()
    if not _ends_in_opener(without_comment(above, context.language_id), context.language_id):
        return False
    indent = indent_width(above, context.tab_size)
    return not context.next_line or indent_width(context.next_line, context.tab_size) <= indent


def _ends_in_opener(line: str, language_id: str) -> bool:
    """Tell whether the last characters of a line begin a block or a list."""
    if line.endswith(":"):
        # Not in brackets: there a colon belongs to a dictionary, a slice or an annotation.
        if find_language(language_id).indented_blocks:
            return not _count_unclosed(line, language_id)
        return _LABEL.match(line) is not None
    if not has_grammar(language_id) and _OPENING_WORD.search(line):
        return True
    return _OPENS.search(line) is not None


def _count_unclosed(line: str, language_id: str) -> int:
    chars = [mark.char for mark in scan(line, language_id).marks]
    return sum(char in "([{" for char in chars) - sum(char in ")]}" for char in chars)
