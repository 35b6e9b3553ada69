"""How much of the cursor's line the suggestion itself repeats: the last step, after every filter.

An editor that closes brackets by itself leaves ``foo(|)``; a model that answers ``a, b):`` means that very
``)``. The replace range takes it, so that it isn't there twice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from fim_lsp.code.brackets import ROUND, Enclosing, enclosing
from fim_lsp.code.cursor import Surroundings, surroundings
from fim_lsp.code.lexical import Mark, scan
from fim_lsp.code.pairing import OPENER_OF, Pairing, pair
from fim_lsp.types import CompletionRequest

_CLOSERS = re.compile(r"""[\s)\]}>"'`;,:]*""")
_PUNCTUATION = ";,:"


def only_closers(rest: str) -> bool:
    """Whether the rest of a line is nothing but what editors insert by themselves, or nothing at all."""
    return _CLOSERS.fullmatch(rest) is not None


def replaced(text: str, request: CompletionRequest, brackets: Enclosing | None = None) -> int:
    """Count the characters after the cursor, on its line, that ``text`` repeats.

    A closer counts only if the text closes with it what was opened before the cursor: for ``foo(|)`` the
    text ``g(x)`` repeats nothing.

    Args:
        text: the suggestion.
        request: where it is to go.
        brackets: what is open around the cursor, if that is known already.
    """
    around = surroundings(request)
    rest = around.rest
    if not rest or not text:
        return 0
    language = request.document.language_id
    inside = scan(around.before, language).inside
    scanned = scan(text, language, inside)
    marks = scanned.marks
    if not only_closers(rest) and _holds(text, rest, pair(marks), around):
        return len(rest)
    angles = _surplus_angles(around, marks, language) if ">" in rest else 0
    closers = pair(marks, angles=angles > 0).closers
    if scanned.inside:  # The text ends in a string of its own, and a quote behind the cursor closes that.
        closers = tuple(mark for mark in closers if mark.char in OPENER_OF)
    return _walk(text, rest, closers, _surplus(brackets or enclosing(request), marks), angles)


def _holds(text: str, rest: str, pairing: Pairing, around: Surroundings) -> bool:
    """Whether the first line of ``text`` contains the whole rest of the line, as words of its own."""
    line = text.partition("\n")[0]
    at = line.find(rest.lstrip())
    if at < 0 or _splits_word(line, at) or _splits_word(line, at + len(rest.lstrip())):
        return False
    if at == 0 and around.line_prefix and _splits_word(around.line_prefix[-1] + line, 1):
        return False
    return not pairing.across(at) and not pairing.across(at + len(rest.lstrip()))


def _splits_word(text: str, at: int) -> bool:
    return 0 < at < len(text) and is_word(text[at - 1]) and is_word(text[at])


def is_word(char: str) -> bool:
    """Whether ``char`` may be part of a name or a number."""
    return char.isalnum() or char == "_"


def _surplus(around: Enclosing, marks: Sequence[Mark]) -> int:
    """How many brackets the suffix closes too often once the text has closed its own.

    None in ``f(g(|);``, where one was missing: the text brings it.
    """
    demand = around.matched(around.openers, around.closers)
    closed = sum(mark.char in ROUND for mark in pair(marks).closers)
    left = around.openers[: max(0, len(around.openers) - closed)]
    return demand - around.matched(left, around.closers)


def _surplus_angles(around: Surroundings, marks: Sequence[Mark], language_id: str) -> int:
    """The same for type arguments, which are looked for on the cursor's line alone."""
    opened = _angles(pair(scan(around.line_prefix, language_id).marks, angles=True).openers)
    closed = _angles(pair(marks, angles=True).closers)
    closing = _angles(pair(scan(around.rest, language_id).marks, angles=True).closers)
    return min(closed, closing - (opened - closed))


def _angles(marks: Sequence[Mark]) -> int:
    return sum(mark.char in "<>" for mark in marks)


def _walk(text: str, rest: str, closers: Sequence[Mark], brackets: int, angles: int) -> int:
    """Go along ``rest`` as long as each closer is the next one that ``text`` leaves unpaired.

    Takes at most ``brackets`` and ``angles`` of them; quotes only where an editor puts them, right at the
    cursor or behind another closer.
    """
    at = count = used = 0
    after = -1
    while at < len(rest):
        if used < len(closers) and rest.startswith(closers[used].char, at):
            char = closers[used].char
            brackets -= char in ROUND
            angles -= char == ">"
            if brackets < 0 or angles < 0 or (char not in OPENER_OF and at > count):
                break
            at += len(char)
            after = closers[used].at + len(char)
            used += 1
        elif rest[at] in _PUNCTUATION and after >= 0 and text.startswith(rest[at], after):
            at, after = at + 1, after + 1
        elif at == 0 and rest[0] in _PUNCTUATION and text.endswith(rest[0]) and only_closers(rest[1:2]):
            return 1
        elif rest[at].isspace():
            at += 1
            continue
        else:
            break
        count = at
    return count
