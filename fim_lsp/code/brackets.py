"""Pair the brackets of a text, and match those open before a cursor with those closed after it.

A half-typed document is rarely balanced, and which bracket lacks its partner decides whether a suggestion
may close it. Kind alone can't tell: the ``}`` below may belong to the block just opened by hand or to the
function around it. Indentation can: a closer never stands further left than the line it closes, and a block
is over where a line no deeper than its header begins with anything but a closer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from attrs import field, frozen

from fim_lsp.code.lexical import Mark, Scan
from fim_lsp.code.lines import CursorWindow, indent_width

OPENER_OF = {")": "(", "]": "[", "}": "{", ">": "<"}
OPENERS = frozenset(OPENER_OF.values())
ROUND = frozenset("()[]{}")
"""The brackets that are never anything else in code; ``<`` and ``>`` may be."""
_CLOSER_OF = {opener: closer for closer, opener in OPENER_OF.items()}
_ANGLES = frozenset("<>")
_DEEPEST_PAIR = 32
"""Open brackets looked at for a partner: a bound for text that is all brackets, beyond any real nesting."""
_DEEPEST = 64
"""Unclosed brackets compared on either side, innermost first: a bound for text that is all brackets."""
_NEUTRAL = ("#", "//", "/*", "*")
"""Lines whose indentation tells nothing: comments, preprocessor directives, attributes."""


# --- Pairs within one text


@frozen
class Pairing:
    """Brackets sorted into pairs and those left over."""

    openers: tuple[Mark, ...]
    """Opened here and never closed, outermost first."""
    closers: tuple[Mark, ...]
    """Closed here and opened elsewhere, in order; string delimiters among them."""
    pairs: tuple[tuple[int, int], ...] = field(repr=False)
    """Positions of opener and closer."""

    def across(self, cut: int) -> int:
        """Count the brackets that are opened before ``cut`` and closed after it.

        Example: in ``f(a)`` one pair lies across the position of ``a``.
        """
        return sum(opener < cut <= closer for opener, closer in self.pairs)


def pair(marks: Iterable[Mark], *, angles: bool = False) -> Pairing:
    """Match brackets. A closer skips openers of another kind that were never closed.

    Example: ``f(a]) }`` has one pair, ``()``, and two closers left over, ``]`` and ``}``.

    Args:
        marks: what a scan found.
        angles: count ``<`` and ``>``, for type arguments; elsewhere they compare.
    """
    opened: list[Mark] = []
    closers: list[Mark] = []
    pairs: list[tuple[int, int]] = []
    for mark in marks:
        if mark.char in _ANGLES and not angles:
            continue
        if mark.char in OPENERS:
            opened.append(mark)
            continue
        partner = _last_of(opened, OPENER_OF.get(mark.char))
        if partner < 0:
            closers.append(mark)
        else:
            pairs.append((opened[partner].position, mark.position))
            del opened[partner:]
    return Pairing(tuple(opened), tuple(closers), tuple(pairs))


def _last_of(marks: list[Mark], char: str | None) -> int:
    """Return the index of the last opener ``char``, or -1 if none is near enough."""
    last = len(marks) - 1
    return next((i for i in range(last, max(-1, last - _DEEPEST_PAIR), -1) if marks[i].char == char), -1)


# --- Pairs across a cursor


@frozen
class Bracket:
    """A bracket and how its line is laid out."""

    char: str
    position: float
    """In characters: of an opener in the prefix window, of a closer in the suffix; infinite beyond it."""
    indent: int
    """Columns of blank space that its line begins with."""
    begins_line: bool = False


@frozen
class EnclosingBrackets:
    """The brackets open at the cursor, and those that the suffix closes."""

    openers: tuple[Bracket, ...]
    """Outermost first."""
    closers: tuple[Bracket, ...]
    """In order."""
    bounds: tuple[tuple[int, int], ...] = field(repr=False)
    """For each indentation that the suffix falls to: the position where a block that deep is over."""

    def count_matched(self, openers: Sequence[Bracket], closers: Sequence[Bracket]) -> int:
        """Count the closers that find their opener."""
        return len(self.closed_openers(openers, closers))

    def closed_openers(self, openers: Sequence[Bracket], closers: Sequence[Bracket]) -> list[int]:
        """Return the indexes of the openers that are closed; a closer takes the innermost that it fits."""
        partners: list[int] = []
        for closer in closers:
            innermost = partners[-1] if partners else len(openers)
            candidates = range(innermost - 1, -1, -1)
            partner = next((index for index in candidates if self._fits(openers[index], closer)), None)
            if partner is not None:
                partners.append(partner)
        return partners

    def _fits(self, opener: Bracket, closer: Bracket) -> bool:
        # Kind first, then layout: a closer that begins a line may not stand left of its opener's line.
        if OPENER_OF[closer.char] != opener.char or (closer.begins_line and closer.indent < opener.indent):
            return False
        return closer.position < self.block_end(opener.indent) or closer.position == math.inf

    def block_end(self, indent: int) -> float:
        """Return where in the suffix a block ends whose header is indented by ``indent`` columns."""
        return next((end for level, end in self.bounds if level <= indent), math.inf)


def find_enclosing(window: CursorWindow, before: Scan, after: Scan, tab_size: int) -> EnclosingBrackets:
    """Find the brackets around the cursor.

    Where the suffix goes on beyond the window, a bracket that nothing shows to be missing its partner is
    taken to be closed there. On the cursor's own line it is not: that line is being written.

    Args:
        window: the text around the cursor.
        before: the scan of the text before the cursor.
        after: the scan of the text after it, begun in the string or comment that the cursor is in.
        tab_size: columns of a tab.
    """
    openers = with_layout(pair(before.marks).openers[-_DEEPEST:], window.before, tab_size)
    closers = with_layout(pair(after.marks).closers[:_DEEPEST], window.after, tab_size)
    seen = EnclosingBrackets(openers, closers, _block_bounds(window, tab_size))
    if window.whole_after:
        return seen
    line_start = window.before.rfind("\n") + 1
    closed = set(seen.closed_openers(openers, closers))
    beyond = (
        Bracket(_CLOSER_OF[opener.char], math.inf, opener.indent, begins_line=True)
        for index, opener in reversed(list(enumerate(openers)))
        if index not in closed and opener.position < line_start and seen.block_end(opener.indent) == math.inf
    )
    return EnclosingBrackets(openers, (*closers, *beyond), seen.bounds)


def with_layout(marks: Sequence[Mark], text: str, tab_size: int) -> tuple[Bracket, ...]:
    """Add to the marks of ``text`` how their lines begin; leave out string delimiters and ``<>``."""
    brackets = []
    for mark in marks:
        if mark.char in ROUND:
            start = text.rfind("\n", 0, mark.position) + 1
            lead = text[start : mark.position]
            begins_line = start > 0 and not lead.strip()
            brackets.append(Bracket(mark.char, mark.position, indent_width(lead, tab_size), begins_line))
    return tuple(brackets)


def _block_bounds(window: CursorWindow, tab_size: int) -> tuple[tuple[int, int], ...]:
    """Return the first line of the suffix at each lower indentation, and where it ends blocks that deep.

    A line that begins with a closer may still close them, so the block ends behind that line.
    """
    bounds: list[tuple[int, int]] = []
    start = window.after.find("\n") + 1
    for line in window.lines_below:
        words = line.lstrip()
        if words and not words.startswith(_NEUTRAL):
            indent = indent_width(line, tab_size)
            if not bounds or indent < bounds[-1][0]:
                bounds.append((indent, start + len(line) if words[0] in OPENER_OF else start))
        start += len(line) + 1
    return tuple(bounds)
