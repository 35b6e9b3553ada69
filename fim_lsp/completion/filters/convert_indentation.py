"""Filter: the suggestion indents with what its document indents with."""

from __future__ import annotations

import math
from collections.abc import Iterable

from fim_lsp.code.cursor import Surroundings, surroundings
from fim_lsp.types import CompletionRequest


def indentation(text: str, request: CompletionRequest) -> str:
    """Turn leading spaces into tabs or tabs into spaces, after the lines around the cursor.

    The model has seen those lines and mostly follows them, so a document that indents with spaces keeps the
    widths that the model chose. In a document without any indentation yet the editor's options decide, width
    included. What doesn't fill a unit is alignment and stays.
    """
    around = surroundings(request)
    first, *later = text.split("\n")
    if not later and around.line_prefix.strip():
        return text
    tab_size = max(1, request.tab_size)
    own = _document_unit(around, tab_size)
    unit = own or (" " * tab_size if request.insert_spaces else "\t")
    width = _width((first, *later) if not around.line_prefix.strip() else later, tab_size)
    keeps_widths = own is not None and unit != "\t"

    def convert(line: str) -> str:
        body = line.lstrip(" \t")
        leading = line[: len(line) - len(body)]
        if not leading or (keeps_widths and "\t" not in leading):
            return line
        return _indent(leading, width, unit) + body

    return "\n".join([first if around.line_prefix.strip() else convert(first), *map(convert, later)])


def _indent(leading: str, width: int, unit: str) -> str:
    """Write ``leading`` with ``unit``: a tab is one unit, ``width`` spaces are another.

    Spaces behind a tab align and are kept.
    """
    if "\t" in leading:
        return leading if unit == "\t" else leading.replace("\t", unit)
    return unit * (len(leading) // width) + " " * (len(leading) % width)


def _width(lines: Iterable[str], tab_size: int) -> int:
    """How many spaces the suggestion means by one level."""
    widths = [len(line) - len(line.lstrip(" ")) for line in lines if line.strip()]
    common = math.gcd(*(width for width in widths if width))
    return common if common in (2, 3, 4, 8) and common % tab_size else tab_size


def _document_unit(around: Surroundings, tab_size: int) -> str | None:
    """What the lines around the cursor indent with, or None if none of them is indented.

    A single space is alignment (the ``*`` of a block comment), not indentation.
    """
    lines = f"{around.before}{around.after}".split("\n")
    tabs = sum(line.startswith("\t") for line in lines)
    spaces = [len(line) - len(line.lstrip(" ")) for line in lines if line.startswith("  ")]
    if not tabs and not spaces:
        return None
    if tabs > len(spaces):
        return "\t"
    common = math.gcd(*spaces) if spaces else 0
    return " " * (common if common in (2, 3, 4, 8) else tab_size)
