"""Which bracket closes which: shared by the stop rules, the bracket filter and the replace range."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import field, frozen

from fim_lsp.code.lexical import Mark

OPENER_OF = {")": "(", "]": "[", "}": "{", ">": "<"}
OPENERS = frozenset(OPENER_OF.values())
_ANGLES = frozenset("<>")
_DEEPEST = 32
"""Open brackets looked at for a partner: a bound for text that is all brackets, beyond any real nesting."""


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
        """How many brackets opened before ``cut`` are closed after it."""
        return sum(opener < cut <= closer for opener, closer in self.pairs)


def pair(marks: Iterable[Mark], *, angles: bool = False) -> Pairing:
    """Match brackets. A closer skips openers of another kind that nobody closed.

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
            pairs.append((opened[partner].at, mark.at))
            del opened[partner:]
    return Pairing(tuple(opened), tuple(closers), tuple(pairs))


def _last_of(marks: list[Mark], char: str | None) -> int:
    last = len(marks) - 1
    return next((i for i in range(last, max(-1, last - _DEEPEST), -1) if marks[i].char == char), -1)
