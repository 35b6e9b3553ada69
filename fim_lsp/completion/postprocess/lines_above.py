"""Filter: a suggestion that only says again what stands above the cursor."""

from __future__ import annotations

from fim_lsp.completion.postprocess.replaced import is_word
from fim_lsp.completion.postprocess.surroundings import surroundings
from fim_lsp.types import CompletionRequest

_LONGEST_PERIOD = 12


def lines_above(text: str, request: CompletionRequest) -> str:
    """Drop a text whose lines are the last lines above the cursor, once or over and over.

    A single line counts only where the user has typed nothing of it yet: who begins to write a line anew
    means it. Lines without a word in them (``}``) prove nothing.
    """
    around = surroundings(request)
    lines = [line.rstrip() for line in (around.line_prefix + text).split("\n") if line.strip()]
    if not any(map(is_word, text)) or (len(lines) < 2 and around.line_prefix.strip()):
        return text
    above = [line.rstrip() for line in around.lines_above if line.strip()]
    longest = min(len(lines), len(above), _LONGEST_PERIOD)
    repeats = any(_repeat(lines, above[-period:]) for period in range(1, longest + 1))
    return "" if repeats else text


def _repeat(lines: list[str], period: list[str]) -> bool:
    """Whether ``lines`` say ``period`` again, the last one perhaps broken off."""
    *whole, last = (period[index % len(period)] for index in range(len(lines)))
    return lines[:-1] == whole and (lines[-1] == last or (len(lines) > 1 and last.startswith(lines[-1])))
