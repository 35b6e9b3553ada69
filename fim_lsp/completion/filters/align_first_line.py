"""Filters of the indentation that a suggestion begins with: on a blank line, and below a header."""

from __future__ import annotations

from fim_lsp.code.cursor import CursorContext
from fim_lsp.code.languages import find_language
from fim_lsp.code.lexical import Scope, without_comment
from fim_lsp.code.lines import indent_width


def align_first_line(text: str, context: CursorContext) -> str:
    r"""Begin the first line at the cursor's column, or one level deeper below a header.

    Example: in column 4 below ``def f():`` the text ``"    return 1"`` becomes ``"return 1"``.
    """
    if not context.line_prefix or context.line_prefix.strip() or not text[:1].isspace():
        return text
    body = text.lstrip(" \t")
    if not body or body[0] == "\n":
        return text
    return text[: len(text) - len(body)][: context.deepest_lead] + body


def indent_below_header(text: str, context: CursorContext) -> str:
    r"""Move the lines below a header one level in where they begin in the header's column, as no block may.

    The header is the line that the text goes on with, or the one above a blank line. This is for languages
    whose blocks are told by indentation alone. Later lines that are deep enough stay. Some editors leave the
    cursor in the header's column where a comment follows the header.

    Example: in column 0 below ``if a:  # b`` the text ``"c()\nd()"`` becomes ``"    c()\n    d()"``.
    """
    lines = text.split("\n")
    on_blank = not context.line_prefix.strip()
    header = context.line_above if on_blank else context.line_prefix + lines[0]
    first = next((index for index, line in enumerate(lines) if line.strip() and (index or on_blank)), None)
    if first is None or not _is_header(header, context):
        return text
    column, lead = indent_width(header, context.tab_size), "" if first else context.line_prefix
    if indent_width(lead + lines[first], context.tab_size) != column:
        return text
    level = context.level_below(header)
    least = column + len(level.expandtabs(context.tab_size)) * (1 + lines[first].rstrip().endswith(":"))
    later = [line for line in lines[first + 1 :] if line.strip()]
    deep = all(indent_width(line, context.tab_size) >= least for line in later)
    moved = {first} if deep else range(first, len(lines))
    return "\n".join(level + line if at in moved and line.strip() else line for at, line in enumerate(lines))


def _is_header(header: str, context: CursorContext) -> bool:
    """Tell whether a line ends in a colon that begins a block: not in brackets, a string or a mapping."""
    language = find_language(context.language_id)
    if not language.indented_blocks or language.indentation == " " or context.brackets.openers:
        return False
    in_string = context.inside is not None and context.inside.scope is Scope.STRING
    return not in_string and without_comment(header, context.language_id).rstrip().endswith(":")
