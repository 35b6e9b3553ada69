"""Measure how much of an accepted text is left some time later: pure, by words, near where it was accepted.

A suggestion that is accepted and rewritten at once was worth little. GitHub's study of Copilot (Ziegler and
others, arXiv 2205.06537) measures the same: unchanged, or mostly unchanged, after 30, 120, 300 and 600 s.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher

CHECKS_S = (30, 120, 300, 600)
"""Seconds after the acceptance at which it is measured."""
MOSTLY = 2 / 3
"""Fraction of the text that must be left for it to count as kept."""

_NEAR = 4000
"""Characters searched on each side, because edits further up move the text."""
_WORD = re.compile(r"\w+|[^\w\s]")


def kept_fraction(accepted: str, document: str, offset: int) -> float:
    """Return the fraction of ``accepted``, 0 to 1 by length, that is left in ``document`` near ``offset``.

    Blanks do not count, so formatting loses nothing. A renamed variable loses that word. Words are compared
    in one stretch around the longest run that was kept, because elsewhere in the file they may stand for
    other reasons. A text without words loses nothing.

    Example: of ``a = load(b)``, when the document has ``a = load(c)``: 8/9.
    """
    words = _WORD.findall(accepted)
    if not words:
        return 1.0
    near = document[max(0, offset - _NEAR) : offset + len(accepted) + _NEAR]
    if accepted in near:
        return 1.0
    near_words = _WORD.findall(near)
    run = SequenceMatcher(None, words, near_words, autojunk=False).find_longest_match(
        0, len(words), 0, len(near_words)
    )
    if not run.size:
        return 0.0
    slack = len(words) // 2
    start = max(0, run.b - run.a - slack)
    stretch = near_words[start : run.b - run.a + len(words) + slack]
    blocks = SequenceMatcher(None, words, stretch, autojunk=False).get_matching_blocks()
    found = [word for block in blocks for word in words[block.a : block.a + block.size]]
    return sum(map(len, found)) / sum(map(len, words))
