"""Find the part of the cursor's line that a suggestion repeats, and so replaces: the step after all filters.

An editor that closes brackets by itself leaves ``foo(|)``; a model that answers ``a, b):`` means that very
``)``. The replace range takes it, so that it isn't there twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from fim_lsp.code.brackets import OPENER_OF, ROUND, Pairing, pair
from fim_lsp.code.cursor import CursorContext
from fim_lsp.code.lexical import Mark, scan
from fim_lsp.code.lines import is_word, only_closers

_PUNCTUATION = ";,:"


def compute_replace_range(text: str, context: CursorContext) -> int:
    """Count the characters after the cursor, on its line, that ``text`` repeats.

    A closer counts only if the text closes with it what was opened before the cursor: for ``foo(|)`` the
    text ``g(x)`` repeats nothing.

    Example: for ``foo(|)`` the text ``a, b):`` replaces 1 character, the ``)``.
    """
    line_suffix = context.line_suffix
    if not line_suffix or not text:
        return 0
    scanned = context.scan_inserted(text)
    pairing = pair(scanned.marks)
    if not only_closers(line_suffix) and _holds(text, line_suffix, pairing, context):
        return len(line_suffix)
    angles = _surplus_angles(context, scanned.marks) if ">" in line_suffix else 0
    closers = pair(scanned.marks, angles=True).closers if angles > 0 else pairing.closers
    if scanned.inside:  # The text ends in a string of its own, and a quote behind the cursor closes that.
        closers = tuple(mark for mark in closers if mark.char in OPENER_OF)
    return _walk(text, line_suffix, closers, _surplus(context, pairing), angles)


def _holds(text: str, line_suffix: str, pairing: Pairing, context: CursorContext) -> bool:
    """Tell whether the first line of ``text`` contains the whole rest of the line, as words of its own."""
    line, words = text.partition("\n")[0], line_suffix.lstrip()
    start = line.find(words)
    end = start + len(words)
    if start < 0 or _splits_word(line, start) or _splits_word(line, end):
        return False
    if start == 0 and context.line_prefix and _splits_word(context.line_prefix[-1] + line, 1):
        return False
    return not pairing.across(start) and not pairing.across(end)


def _splits_word(text: str, index: int) -> bool:
    return 0 < index < len(text) and is_word(text[index - 1]) and is_word(text[index])


def _surplus(context: CursorContext, pairing: Pairing) -> int:
    """Count the brackets that the suffix closes too often once the text has closed its own.

    None in ``f(g(|);``, where one was missing: the text brings it.
    """
    brackets = context.brackets
    closed = sum(mark.char in ROUND for mark in pairing.closers)
    left = brackets.openers[: max(0, len(brackets.openers) - closed)]
    needed = brackets.count_matched(brackets.openers, brackets.closers)
    return needed - brackets.count_matched(left, brackets.closers)


def _surplus_angles(context: CursorContext, marks: Sequence[Mark]) -> int:
    """Count the same for type arguments, which are looked for on the cursor's line alone."""
    prefix, suffix = (scan(part, context.language_id) for part in (context.line_prefix, context.line_suffix))
    opened = _count_angles(pair(prefix.marks, angles=True).openers)
    closed = _count_angles(pair(marks, angles=True).closers)
    closing = _count_angles(pair(suffix.marks, angles=True).closers)
    return min(closed, closing - (opened - closed))


def _count_angles(marks: Sequence[Mark]) -> int:
    return sum(mark.char in "<>" for mark in marks)


def _walk(text: str, line_suffix: str, closers: Sequence[Mark], brackets: int, angles: int) -> int:
    """Go along the rest of the line as long as each closer is the next one that ``text`` leaves unpaired.

    Takes at most ``brackets`` round and ``angles`` angle brackets; quotes only where an editor puts them,
    right at the cursor or behind another closer.

    Example: along ``"))"`` the text ``b)`` goes 1 character, if one of the two is to spare.
    """
    index = count = used = 0
    behind = -1
    """The position in ``text`` behind the closer that was met last."""
    while index < len(line_suffix):
        if used < len(closers) and line_suffix.startswith(closers[used].char, index):
            char = closers[used].char
            brackets -= char in ROUND
            angles -= char == ">"
            # A quote behind blanks begins another string, so it closes nothing of the text's.
            if brackets < 0 or angles < 0 or (char not in OPENER_OF and index > count):
                break
            index += len(char)
            behind = closers[used].position + len(char)
            used += 1
        elif behind >= 0 and line_suffix[index] in _PUNCTUATION and text[behind:][:1] == line_suffix[index]:
            # The comma or semicolon that the text has behind the very closer that it shares with the line.
            index, behind = index + 1, behind + 1
        elif index == 0 and _ends_in_same_punctuation(text, line_suffix):
            return 1
        elif line_suffix[index].isspace():
            # Blanks are only taken along with what follows them.
            index += 1
            continue
        else:
            break
        count = index
    return count


def _ends_in_same_punctuation(text: str, line_suffix: str) -> bool:
    sign = line_suffix[0]
    return sign in _PUNCTUATION and text.endswith(sign) and only_closers(line_suffix[1:2])
