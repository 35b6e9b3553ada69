"""Decide by the chance of being kept what is shown of a text: all of it, a beginning, or nothing. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import frozen

from fim_lsp.completion.showing.chance import ChanceModel
from fim_lsp.completion.showing.cuts import line_ends
from fim_lsp.completion.showing.features import Facts, features_of
from fim_lsp.completion.showing.places import may_be_complete

WORD_CHANCE = 0.5
"""The least chance for a part of a line: less than a line is only worth showing if it is likely right."""
_WORTH = 6.0
"""Characters that must be kept in the mean for a wrong suggestion, as a multiple of the least chance.

A long text is shown with a smaller chance than a short one, because more is lost with it."""
_WHERE_COMPLETE = 1.5
"""Factor of the least chance where the line may be complete: most texts behind it are wrong."""
_WORD_END = re.compile(r"\w\b")
_SHORTEST = 3
"""Characters that a part of a line has at least."""
_MOST_WORDS = 8
"""Ends of words that are looked at, from the beginning."""


@frozen
class Decision:
    """The part that is shown, and its chance."""

    end: int
    """Characters to show; 0 for nothing."""
    chance: float
    """Estimated for that part; for nothing, that of the whole text."""


def decide(facts: Facts, model: ChanceModel, least: float, shift: float = 0.0) -> Decision:
    """Return the longest part that is likely enough to be kept.

    A text is likely enough with the least chance, or, unless the line may be complete, where the characters
    that are kept in the mean outweigh a wrong suggestion. A part of a line needs :data:`WORD_CHANCE`.

    Args:
        facts: the text and the place.
        model: estimates the chance.
        least: the least chance to show a text.
        shift: see :meth:`ChanceModel.estimate`.
    """

    def estimate(end: int) -> float:
        return model.estimate(features_of(facts, end), shift)

    complete = may_be_complete(facts.context)

    def is_enough(chance: float, end: int) -> bool:
        if complete:
            return chance >= min(1.0, _WHERE_COMPLETE * least)
        outweighs = chance * len(facts.text[:end].strip()) >= _WORTH * least * (1 - chance)
        return chance >= least or outweighs

    whole = len(facts.text)
    first = estimate(whole)
    if is_enough(first, whole):
        return Decision(whole, first)
    for end in sorted(line_ends(facts.text, facts.context), reverse=True):
        if end < whole and is_enough(chance := estimate(end), end):
            return Decision(end, chance)
    for end in reversed(list(word_ends(facts))):
        if (chance := estimate(end)) >= max(least, WORD_CHANCE):
            return Decision(end, chance)
    return Decision(0, first)


def word_ends(facts: Facts) -> Iterator[int]:
    """Yield the ends of words in the first line, where nothing is open that the text opened itself."""
    text = facts.text
    line_end = text.find("\n", len(text) - len(text.lstrip()))
    limit = len(text) if line_end < 0 else line_end
    count = 0
    for found in _WORD_END.finditer(text, 0, limit):
        end = found.end()
        if count == _MOST_WORDS:
            return
        if len(text[:end].strip()) >= _SHORTEST and end < limit:
            count += 1
            if not facts.context.read_inserted(text[:end]).own:
                yield end
