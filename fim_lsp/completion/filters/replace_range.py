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
from fim_lsp.code.nesting import Closer, Kind

_PUNCTUATION = ";,:"
_QUOTES = frozenset("\"'`")


def compute_replace_range(text: str, context: CursorContext) -> int:
    """Count the characters after the cursor, on its line, that ``text`` repeats.

    A closer counts only if the text closes with it what was opened before the cursor: for ``foo(|)`` the
    text ``g(x)`` repeats nothing.

    Example: for ``foo(|)`` the text ``a, b):`` replaces 1 character, the ``)``.
    """
    line_suffix = context.line_suffix
    if not line_suffix or not text:
        return 0
    marks = context.scan_inserted(text).marks
    pairing = pair(marks)
    if not only_closers(line_suffix) and _holds(text, line_suffix, pairing, context):
        return len(line_suffix)
    nesting = context.read_inserted(text)
    closers: Sequence[Closer] = nesting.closers
    has_angles = ">" in line_suffix and not context.in_markup
    angles = _surplus_angles(context, marks) if has_angles else 0
    if angles > 0:
        with_angles = pair(marks, angles=True).closers
        closers = [Closer(mark.char, mark.position, mark.char in OPENER_OF) for mark in with_angles]
    if nesting.own and nesting.open[-1].kind is Kind.STRING:
        # The text ends in a string of its own, and a quote behind the cursor closes that.
        closers = [closer for closer in closers if closer.text in OPENER_OF]
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


def _walk(text: str, line_suffix: str, closers: Sequence[Closer], brackets: int, angles: int) -> int:
    """Go along the rest of the line as long as each closer is the next one that ``text`` leaves unpaired.

    Takes at most ``brackets`` round and ``angles`` angle brackets of code; quotes only where an editor puts
    them, right at the cursor or behind another closer. Closers within strings and markup are all taken.

    Example: along ``"))"`` the text ``b)`` goes 1 character, if one of the two is to spare.
    """
    index = count = used = 0
    behind = -1
    """The position in ``text`` behind the closer that was met last."""
    while index < len(line_suffix):
        if used < len(closers) and line_suffix.startswith(closers[used].text, index):
            closer = closers[used]
            brackets -= closer.in_code and closer.text in ROUND
            angles -= closer.in_code and closer.text == ">"
            # A quote behind blanks begins another string, so it closes nothing of the text's.
            if brackets < 0 or angles < 0 or (closer.text in _QUOTES and index > count):
                break
            index += len(closer.text)
            behind = closer.position + len(closer.text)
            used += 1
        elif behind >= 0 and line_suffix[index] in _PUNCTUATION and text[behind:][:1] == line_suffix[index]:
            # The comma or semicolon that the text has behind the very closer that it shares with the line.
            index, behind = index + 1, behind + 1
        elif behind >= 0 and (end := _end_of_same_pair(text, behind, line_suffix[index:])):
            # The empty pair of a snippet, `()` of `[]()`, which the text has with something in it.
            index, behind = index + 2, end
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


def _end_of_same_pair(text: str, start: int, line_suffix: str) -> int:
    """Return the position behind the pair that begins at ``start``, if the line has it empty; else 0."""
    opener, closer = line_suffix[:1], line_suffix[1:2]
    if OPENER_OF.get(closer) != opener or not opener or text[start : start + 1] != opener:
        return 0
    end = text.find(closer, start)
    return end + 1 if end >= 0 else 0


def _ends_in_same_punctuation(text: str, line_suffix: str) -> bool:
    sign = line_suffix[0]
    return sign in _PUNCTUATION and text.endswith(sign) and only_closers(line_suffix[1:2])
