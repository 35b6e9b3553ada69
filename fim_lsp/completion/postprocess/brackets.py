"""Filter: no more brackets closed than are open.

The suggestion may close a bracket of the text before the cursor only if the text after it doesn't. Which
closer of the suffix belongs to which opener is told by kind and, where both stand at a line's edge, by
indentation: that is how a block just opened by hand, whose ``}`` is still missing, is told from the
function around it.
"""

from __future__ import annotations

from attrs import frozen

from fim_lsp.completion.postprocess.lexical import Mark, lexis, scan
from fim_lsp.completion.postprocess.pairing import OPENER_OF, OPENERS, pair
from fim_lsp.completion.postprocess.replaced import replaced
from fim_lsp.completion.postprocess.surroundings import Surroundings, indent_width, surroundings
from fim_lsp.types import CompletionRequest

_ROUND = frozenset("()[]{}")
_DEEPEST = 64
"""Unclosed brackets compared on either side, innermost first: a bound for text that is all brackets."""


def brackets(text: str, request: CompletionRequest) -> str:
    """Cut before the first closer that closes nothing, or what the suffix closes already.

    Brackets left open at the end stay: the user is still writing. Closers that the replace range will take
    from the cursor's line count as the suggestion's own.
    """
    language = request.document.language_id
    if not lexis(language).balanced:
        return text
    around = surroundings(request)
    inside = scan(around.before, language).inside
    marks = [mark for mark in scan(text, language, inside).marks if mark.char in _ROUND]
    if all(mark.char in OPENERS for mark in marks):
        return text
    own: list[str] = []
    closable = _closable(around, request, replaced(text, request))
    for mark in marks:
        if mark.char in OPENERS:
            own.append(mark.char)
        elif (own or closable or [""]).pop() != OPENER_OF[mark.char]:
            return text[: mark.at]
    return text


@frozen
class _Bracket:
    """A bracket and how its line is laid out."""

    char: str
    at: int
    indent: int
    at_edge: bool
    """An opener that ends its line, or a closer that begins it."""
    on_cursor_line: bool


def _closable(around: Surroundings, request: CompletionRequest, taken: int) -> list[str]:
    """Openers before the cursor, outermost first; those that the suffix closes are ``""``.

    ``taken`` is the number of suffix characters that the suggestion replaces and so no longer close.
    """
    language = request.document.language_id
    before = scan(around.before, language)
    after = scan(around.after, language, before.inside)
    openers = [
        _opener(mark, around.before, request.tab_size)
        for mark in pair(before.marks).openers[-_DEEPEST:]
        if mark.char in _ROUND
    ]
    closers = [
        _closer(mark, around.after, request.tab_size)
        for mark in pair(after.marks).closers[:_DEEPEST]
        if mark.char in _ROUND
    ]
    closed = _closed(openers, closers, taken, around.whole_after)
    return ["" if index in closed else opener.char for index, opener in enumerate(openers)]


def _closed(openers: list[_Bracket], closers: list[_Bracket], taken: int, whole_after: bool) -> set[int]:
    """Indexes of the openers that the suffix closes, without its first ``taken`` characters.

    Where the suffix goes on beyond the window, what is still open there is taken to be closed later, but
    for the line being written.
    """
    closed: set[int] = set()
    still_open = len(openers)
    for closer in closers:
        partner = next((i for i in range(still_open - 1, -1, -1) if _match(openers[i], closer)), None)
        if partner is not None:
            still_open = partner
            if closer.at >= taken:
                closed.add(partner)
    if not whole_after:
        closed.update(index for index in range(still_open) if not openers[index].on_cursor_line)
    return closed


def _match(opener: _Bracket, closer: _Bracket) -> bool:
    if OPENER_OF[closer.char] != opener.char:
        return False
    return not (opener.at_edge and closer.at_edge) or opener.indent <= closer.indent


def _opener(mark: Mark, text: str, tab_size: int) -> _Bracket:
    start, end = text.rfind("\n", 0, mark.at) + 1, text.find("\n", mark.at)
    following = text[mark.at + 1 : end if end >= 0 else None]
    return _Bracket(
        mark.char, mark.at, indent_width(text[start : mark.at], tab_size), not following.strip(), end < 0
    )


def _closer(mark: Mark, text: str, tab_size: int) -> _Bracket:
    start = text.rfind("\n", 0, mark.at) + 1
    at_edge = start > 0 and not text[start : mark.at].strip()
    return _Bracket(mark.char, mark.at, indent_width(text[start : mark.at], tab_size), at_edge, start == 0)
