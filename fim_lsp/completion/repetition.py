"""Tell whether generated lines repeat the code around the cursor. Used by stop rules and filters. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from fim_lsp.code.cursor import CursorContext
from fim_lsp.code.lines import is_word

_LONGEST_PHRASE, _FEWEST_COPIES, _SHORTEST_RUN = 40, 4, 24
"""Characters of a phrase at most, copies of it at least, and characters of all copies together at least."""
_LONGEST_PERIOD = 12
"""Lines above the cursor that are compared, at most."""


def repeats_next_line(line: str, start: int, context: CursorContext) -> bool:
    """Tell whether a line of a suggestion, beginning at ``start`` in it, is the next line of the document.

    The same words less deep repeat it too: between the two nothing opens the block that the next line is in.
    Deeper they may be meant, as a ``return`` inside of a condition. The first line continues the cursor's.
    Bare closers after typed text do not count: ``}`` may well be due twice.

    Example: above ``return total`` the line ``return total`` repeats it, ``return`` does not.
    """
    next_line = context.next_line
    full = line.rstrip() if start else (context.line_prefix + line).rstrip()
    has_words = any(map(is_word, line))
    if full == next_line:
        return bool(start) or not context.line_prefix.strip() or has_words
    return has_words and _is_shallower(full, next_line)


def repeats_next_lines(text: str, context: CursorContext) -> bool:
    r"""Tell whether the first two lines of ``text`` are the next two, but for indentation and ``,`` or ``;``.

    Example: above ``z: 3,`` and ``};`` the text ``"  z: 3\n};"`` repeats them.
    """
    lines, below = (
        [_bare(line) for line in part if line.strip()][:2] for part in (text.split("\n"), context.lines_below)
    )
    return len(lines) == len(below) == 2 and lines == below and any(map(is_word, lines[0]))


def _bare(line: str) -> str:
    return line.strip().rstrip(",;")


def _is_shallower(line: str, other: str) -> bool:
    """Tell whether ``other`` is ``line`` with more indentation."""
    words, lead = line.lstrip(), line[: len(line) - len(line.lstrip())]
    return other.endswith(words) and not other[: -len(words)].strip() and other.startswith(lead)


def repeats_lines_above(text: str, context: CursorContext) -> bool:
    r"""Tell whether the lines of ``text`` are the last lines above the cursor, or its own if that is full.

    A single line counts only where the user has typed nothing of it yet: a line that the user began to write
    anew is meant. Lines without a word in them (``}``) prove nothing.

    Example: below ``a = 1`` and ``b = 2`` the text ``"a = 1\nb = 2"`` repeats them, ``"c = 3"`` does not.
    """
    if not any(map(is_word, text)):
        return False
    line_prefix = context.line_prefix
    above: Sequence[str] = context.lines_above
    if line_prefix.strip() and text.lstrip(" \t").startswith("\n"):
        line_prefix, above = "", (*above, line_prefix)
    lines = _filled_lines((line_prefix + text).split("\n"))
    if len(lines) < 2 and line_prefix.strip():
        return False
    last_above = _filled_lines(above)
    longest = min(len(lines), len(last_above), _LONGEST_PERIOD)
    return any(_repeat(lines, last_above[-period:]) for period in range(1, longest + 1))


def is_echo(text: str, context: CursorContext) -> bool:
    """Tell whether ``text`` only repeats what stands around the cursor, where new text could stand.

    That is a line of its own. Behind what the user wrote there may be nothing to add: a model that goes on
    with the next line takes this one for complete.

    Example: on a blank line above ``return x`` the text ``return x`` is an echo.
    """
    if context.line_prefix.strip():
        return False
    behind = text.strip() in ("", context.line_suffix.lstrip(), context.next_line.strip())
    return behind or repeats_lines_above(text, context)


def find_period(line: str) -> tuple[int, int] | None:
    """Find a phrase that the end of a line repeats over and over.

    A phrase has a letter or digit, so that rules (``=====``) may be long.

    Example: in ``a b b b b b b b b b b b b`` the phrase `` b`` begins at 1 and has 2 characters.

    Returns:
        Position and length of the phrase's first copy, in characters; None if there is none.
    """
    for period in range(1, min(_LONGEST_PHRASE, len(line) // _FEWEST_COPIES) + 1):
        if line[-1] != line[-1 - period]:
            continue
        copies = max(_FEWEST_COPIES, -(-_SHORTEST_RUN // period))
        phrase = line[-period:]
        if not line.endswith(phrase * copies) or not any(map(str.isalnum, phrase)):
            continue
        start = len(line) - period * copies
        while start >= period and line.startswith(phrase, start - period):
            start -= period
        return start, period
    return None


def _filled_lines(lines: Sequence[str]) -> list[str]:
    return [line.rstrip() for line in lines if line.strip()]


def _repeat(lines: list[str], period: list[str]) -> bool:
    """Tell whether ``lines`` are ``period`` over and over, the last one perhaps broken off."""
    *whole, last = (period[index % len(period)] for index in range(len(lines)))
    return lines[:-1] == whole and (lines[-1] == last or (len(lines) > 1 and last.startswith(lines[-1])))
