"""Filter of brackets that close more than is open."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from fim_lsp.code.brackets import OPENER_OF, OPENERS, ROUND, Bracket, with_layout
from fim_lsp.code.cursor import CursorContext
from fim_lsp.code.languages import find_language
from fim_lsp.code.lexical import Mark
from fim_lsp.completion.filters.replace_range import compute_replace_range


@frozen
class _Cut:
    """A place where the text might be cut."""

    position: int
    closed: int
    """Brackets closed until there that were open at the cursor."""
    own: tuple[Mark, ...]
    """Brackets that the text has opened until there and left open."""


def drop_unmatched_closers(text: str, context: CursorContext) -> str:
    """Cut before the first closer that closes nothing, or takes what a closer of the suffix needs.

    Closing what the suffix closes is fine if the text opens it again (``} else {``). Brackets left open at
    the end stay: the user is still writing. Closers that the replace range takes from the cursor's line need
    nothing any more.

    Example: behind ``x = 2`` the text ``+ 1)`` becomes ``+ 1``.
    """
    if not find_language(context.language_id).balanced or context.in_prose:
        return text
    if not any(char in OPENER_OF for char in text):
        return text
    brackets = context.brackets
    marks = [mark for mark in context.scan_inserted(text).marks if mark.char in ROUND]
    for cut in reversed(_list_cuts(text, marks, brackets.openers)):
        replaced = compute_replace_range(text[: cut.position], context)
        closers = [closer for closer in brackets.closers if closer.position >= replaced]
        left = brackets.openers[: len(brackets.openers) - cut.closed]
        opened = _laid_out(cut.own, text, context)
        needed = brackets.count_matched(brackets.openers, closers)
        if brackets.count_matched((*left, *opened), closers) >= needed:
            return text[: cut.position]
    return ""


def _laid_out(own: Sequence[Mark], text: str, context: CursorContext) -> tuple[Bracket, ...]:
    """Return the text's own brackets as they will stand behind the cursor's line prefix."""
    shifted = [Mark(mark.char, mark.position + len(context.line_prefix)) for mark in own]
    return with_layout(shifted, context.line_prefix + text, context.tab_size)


def _list_cuts(text: str, marks: Sequence[Mark], openers: Sequence[Bracket]) -> list[_Cut]:
    """List where the text might be cut: before a closer that leaves none of its own open, and at its end.

    The list ends at a closer that closes nothing.
    """
    own: list[Mark] = []
    closed = 0
    cuts: list[_Cut] = []
    for mark in marks:
        if mark.char in OPENERS:
            own.append(mark)
            continue
        if len(own) <= 1:
            cuts.append(_Cut(mark.position, closed, tuple(own)))
        if own and own[-1].char != OPENER_OF[mark.char]:
            return [*cuts, _Cut(mark.position, closed, tuple(own))]
        if own:
            own.pop()
            continue
        closed += 1
        if closed > len(openers) or openers[-closed].char != OPENER_OF[mark.char]:
            return cuts
    return [*cuts, _Cut(len(text), closed, tuple(own))]
