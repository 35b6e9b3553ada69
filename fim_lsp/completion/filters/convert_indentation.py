"""Filter of indentation: a suggestion indents with what its document indents with."""

from __future__ import annotations

import math
from collections.abc import Iterable

from fim_lsp.code.cursor import CursorContext
from fim_lsp.code.languages import find_language

_SPACES = 2
"""Spaces of one level where a language forbids tabs and the document has no indentation yet."""
_WIDTHS = (2, 3, 4, 8)
"""Spaces that are taken for one level."""


def convert_indentation(text: str, context: CursorContext) -> str:
    r"""Turn leading spaces into tabs or tabs into spaces, after the lines around the cursor.

    The model has seen those lines and mostly follows them, so a document that indents with spaces keeps the
    widths that the model chose. In a document without any indentation yet the editor's options decide, width
    included. Blanks that don't fill a unit align and stay.

    Example: in a document of tabs ``"if x:\n    y()"`` becomes ``"if x:\n\ty()"``.
    """
    first, *later = text.split("\n")
    within_line = bool(context.line_prefix.strip())
    if not later and within_line:
        return text
    tab_size = max(1, context.tab_size)
    own = _find_unit(context, tab_size)
    unit = own or (" " * tab_size if context.insert_spaces else "\t")
    if find_language(context.language_id).indentation == "\t":
        own = unit = "\t"
    elif find_language(context.language_id).indentation == " " and unit == "\t":
        own, unit = None, " " * _SPACES
    width = _find_width(later if within_line else (first, *later), tab_size)
    keeps_widths = own is not None and unit != "\t"

    def convert(line: str) -> str:
        body = line.lstrip(" \t")
        leading = line[: len(line) - len(body)]
        if not leading or (keeps_widths and "\t" not in leading):
            return line
        return _indent(leading, width, unit) + body

    return "\n".join([first if within_line else convert(first), *map(convert, later)])


def _indent(leading: str, width: int, unit: str) -> str:
    """Write ``leading`` with ``unit``: a tab is one unit, ``width`` spaces are another.

    Spaces behind a tab align and are kept.
    """
    if "\t" in leading:
        return leading if unit == "\t" else leading.replace("\t", unit)
    return unit * (len(leading) // width) + " " * (len(leading) % width)


def _find_width(lines: Iterable[str], tab_size: int) -> int:
    """Find how many spaces the suggestion indents one level with."""
    widths = [len(line) - len(line.lstrip(" ")) for line in lines if line.strip()]
    common = math.gcd(*(width for width in widths if width))
    return common if common in _WIDTHS and common % tab_size else tab_size


def _find_unit(context: CursorContext, tab_size: int) -> str | None:
    """Find what the lines around the cursor indent with; None if none of them is indented.

    A single space is alignment (the ``*`` of a block comment), not indentation.
    """
    lines = f"{context.near.before}{context.near.after}".split("\n")
    tabs = sum(line.startswith("\t") for line in lines)
    spaces = [len(line) - len(line.lstrip(" ")) for line in lines if line.startswith("  ")]
    if not tabs and not spaces:
        return None
    if tabs > len(spaces):
        return "\t"
    common = math.gcd(*spaces) if spaces else 0
    return " " * (common if common in _WIDTHS else tab_size)
