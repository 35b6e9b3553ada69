"""Filter: no more brackets closed than are open."""

from __future__ import annotations

from collections.abc import Sequence

from fim_lsp.code.brackets import ROUND, Bracket, Enclosing, brackets_of, enclosing
from fim_lsp.code.cursor import surroundings
from fim_lsp.code.languages import find_language
from fim_lsp.code.lexical import Mark, scan
from fim_lsp.code.pairing import OPENER_OF, OPENERS
from fim_lsp.completion.filters.replace_range import replaced
from fim_lsp.types import CompletionRequest


def brackets(text: str, request: CompletionRequest) -> str:
    """Cut before the first closer that closes nothing, or takes what a closer of the suffix needs.

    Closing what the suffix closes is fine if the text opens it again (``} else {``). Brackets left open at
    the end stay: the user is still writing. Closers that the replace range takes from the cursor's line need
    nothing any more.
    """
    language = request.document.language_id
    if not find_language(language).balanced or not any(char in OPENER_OF for char in text):
        return text
    around = enclosing(request)
    marks = [mark for mark in scan(text, language, around.inside).marks if mark.char in ROUND]
    for cut, closed, own in reversed(_states(text, marks, around)):
        taken = replaced(text[:cut], request, around)
        closers = [closer for closer in around.closers if closer.at >= taken]
        left = around.openers[: len(around.openers) - closed]
        opened = _positions(own, text, request)
        if around.matched((*left, *opened), closers) >= around.matched(around.openers, closers):
            return text[:cut]
    return ""


def _positions(own: Sequence[Mark], text: str, request: CompletionRequest) -> tuple[Bracket, ...]:
    """The text's own brackets as they will stand behind the cursor's line prefix."""
    line_prefix = surroundings(request).line_prefix
    shifted = [Mark(mark.char, mark.at + len(line_prefix)) for mark in own]
    return brackets_of(shifted, line_prefix + text, request.tab_size)


def _states(text: str, marks: Sequence[Mark], around: Enclosing) -> list[tuple[int, int, tuple[Mark, ...]]]:
    """Where the text might be cut: before a closer that leaves no bracket of its own open, and at its end.

    Each with the number of brackets closed that were open at the cursor, and those that the text has opened
    since and left open. The list ends at a closer that closes nothing.
    """
    own: list[Mark] = []
    closed = 0
    states: list[tuple[int, int, tuple[Mark, ...]]] = []
    for mark in marks:
        if mark.char in OPENERS:
            own.append(mark)
            continue
        if len(own) <= 1:
            states.append((mark.at, closed, tuple(own)))
        if own and own[-1].char != OPENER_OF[mark.char]:
            return [*states, (mark.at, closed, tuple(own))]
        if own:
            own.pop()
            continue
        closed += 1
        if closed > len(around.openers) or around.openers[-closed].char != OPENER_OF[mark.char]:
            return states
    return [*states, (len(text), closed, tuple(own))]
