"""Brackets opened before the cursor against those closed after it.

A half-typed document is rarely balanced, and which bracket lacks its partner decides whether a suggestion
may close it. Kind alone can't tell: the ``}`` below may belong to the block just opened by hand or to the
function around it. Indentation can: a closer never stands further left than the line it closes, and a block
is over where a line no deeper than its header begins with anything but a closer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from attrs import field, frozen

from fim_lsp.code.cursor import Surroundings, indent_width, surroundings
from fim_lsp.code.lexical import Inside, Mark, scan
from fim_lsp.code.pairing import OPENER_OF, pair
from fim_lsp.types import CompletionRequest

ROUND = frozenset("()[]{}")
"""The brackets that are never anything else in code; ``<`` and ``>`` may be."""
_DEEPEST = 64
"""Unclosed brackets compared on either side, innermost first: a bound for text that is all brackets."""
_CLOSER_OF = {opener: closer for closer, opener in OPENER_OF.items()}
_NEUTRAL = ("#", "//", "/*", "*")
"""Lines whose indentation says nothing: comments, preprocessor directives, attributes."""


@frozen
class Bracket:
    """A bracket and how its line is laid out."""

    char: str
    at: float
    """Where it is in the suffix, for a closer; infinite beyond the window."""
    indent: int
    """Columns of blank space that its line begins with."""
    begins_line: bool = False


@frozen
class Enclosing:
    """What is open at the cursor, and what the suffix closes."""

    openers: tuple[Bracket, ...]
    """Outermost first."""
    closers: tuple[Bracket, ...]
    """In order."""
    inside: Inside | None
    """The string or comment that the cursor is in."""
    bounds: tuple[tuple[int, int], ...] = field(repr=False)
    """For each indentation that the suffix falls to: where a block of that indentation is over."""

    def matched(self, openers: Sequence[Bracket], closers: Sequence[Bracket]) -> int:
        """Count the closers that find their opener."""
        return len(self.closed(openers, closers))

    def closed(self, openers: Sequence[Bracket], closers: Sequence[Bracket]) -> list[int]:
        """Indexes of the openers that are closed; a closer takes the innermost that it fits."""
        partners: list[int] = []
        for closer in closers:
            innermost = partners[-1] if partners else len(openers)
            candidates = range(innermost - 1, -1, -1)
            partner = next((index for index in candidates if self._match(openers[index], closer)), None)
            if partner is not None:
                partners.append(partner)
        return partners

    def _match(self, opener: Bracket, closer: Bracket) -> bool:
        if OPENER_OF[closer.char] != opener.char or (closer.begins_line and closer.indent < opener.indent):
            return False
        return closer.at < self.bound(opener.indent) or closer.at == math.inf

    def bound(self, indent: int) -> float:
        """Where in the suffix a block is over whose header is indented by ``indent`` columns."""
        return next((at for level, at in self.bounds if level <= indent), math.inf)


def enclosing(request: CompletionRequest) -> Enclosing:
    """Find the brackets around the cursor.

    Where the suffix goes on beyond the window, a bracket that nothing says is missing its partner is taken
    to be closed there. On the cursor's own line it is not: that line is being written.
    """
    around = surroundings(request)
    language = request.document.language_id
    before = scan(around.before, language)
    after = scan(around.after, language, before.inside)
    openers = brackets_of(pair(before.marks).openers[-_DEEPEST:], around.before, request.tab_size)
    closers = brackets_of(pair(after.marks).closers[:_DEEPEST], around.after, request.tab_size)
    seen = Enclosing(openers, closers, before.inside, _bounds(around, request.tab_size))
    if around.whole_after:
        return seen
    line_start = around.before.rfind("\n") + 1
    closed = set(seen.closed(openers, closers))
    beyond = (
        Bracket(_CLOSER_OF[opener.char], math.inf, opener.indent, begins_line=True)
        for index, opener in reversed(list(enumerate(openers)))
        if index not in closed and opener.at < line_start and seen.bound(opener.indent) == math.inf
    )
    return Enclosing(openers, (*closers, *beyond), seen.inside, seen.bounds)


def brackets_of(marks: Sequence[Mark], text: str, tab_size: int) -> tuple[Bracket, ...]:
    """Add to the marks of ``text`` how their lines begin; string delimiters and ``<>`` are left out."""
    brackets = []
    for mark in marks:
        if mark.char in ROUND:
            start = text.rfind("\n", 0, mark.at) + 1
            lead = text[start : mark.at]
            begins_line = start > 0 and not lead.strip()
            brackets.append(Bracket(mark.char, mark.at, indent_width(lead, tab_size), begins_line))
    return tuple(brackets)


def _bounds(around: Surroundings, tab_size: int) -> tuple[tuple[int, int], ...]:
    """The first line of the suffix at each lower indentation, and where it ends blocks of that indentation.

    A line that begins with a closer may still close them and is included.
    """
    bounds: list[tuple[int, int]] = []
    start = around.after.find("\n") + 1
    for line in around.lines_below:
        words = line.lstrip()
        if words and not words.startswith(_NEUTRAL):
            indent = indent_width(line, tab_size)
            if not bounds or indent < bounds[-1][0]:
                bounds.append((indent, start + len(line) if words[0] in OPENER_OF else start))
        start += len(line) + 1
    return tuple(bounds)
