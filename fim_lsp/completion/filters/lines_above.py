"""Filter: a suggestion that only says again what stands above the cursor."""

from __future__ import annotations

from collections.abc import Sequence

from fim_lsp.code.cursor import surroundings
from fim_lsp.completion.filters.replace_range import is_word
from fim_lsp.types import CompletionRequest

_LONGEST_PERIOD = 12


def lines_above(text: str, request: CompletionRequest) -> str:
    """Drop a text whose lines are the last lines above the cursor, once or over and over."""
    around = surroundings(request)
    return "" if repeats_above(text, around.line_prefix, around.lines_above) else text


def repeats_above(text: str, line_prefix: str, lines_above: Sequence[str]) -> bool:
    """Whether the lines of ``text`` are the last lines above, the cursor's own among these if it is full.

    A single line counts only where the user has typed nothing of it yet: who begins to write a line anew
    means it. Lines without a word in them (``}``) prove nothing.
    """
    if not any(map(is_word, text)):
        return False
    if line_prefix.strip() and text.lstrip(" \t").startswith("\n"):
        line_prefix, lines_above = "", (*lines_above, line_prefix)
    lines = _lines((line_prefix + text).split("\n"))
    if len(lines) < 2 and line_prefix.strip():
        return False
    above = _lines(lines_above)
    longest = min(len(lines), len(above), _LONGEST_PERIOD)
    return any(_repeat(lines, above[-period:]) for period in range(1, longest + 1))


def _lines(lines: Sequence[str]) -> list[str]:
    return [line.rstrip() for line in lines if line.strip()]


def _repeat(lines: list[str], period: list[str]) -> bool:
    """Whether ``lines`` say ``period`` again, the last one perhaps broken off."""
    *whole, last = (period[index % len(period)] for index in range(len(lines)))
    return lines[:-1] == whole and (lines[-1] == last or (len(lines) > 1 and last.startswith(lines[-1])))
