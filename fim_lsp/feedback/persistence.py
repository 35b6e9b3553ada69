"""How much of an accepted text is still there some time later: pure, on words, near where it was accepted.

A suggestion that is accepted and rewritten at once was worth little. The measure is that of GitHub's study
of Copilot (Ziegler and others, arXiv 2205.06537): unchanged, or mostly so, after 30, 120, 300 and 600 s.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher

CHECKS_S = (30, 120, 300, 600)
"""When to look, in seconds after the acceptance."""
MOSTLY = 2 / 3
"""Part of the text that must be there for it to count as kept."""

_NEAR = 4000
"""Characters on each side that are searched: edits further up move the place."""
_WORD = re.compile(r"\w+|[^\w\s]")


def kept(accepted: str, document: str, offset: int) -> float:
    """Part of ``accepted`` that is still in ``document`` near ``offset``, 0 to 1, weighed by length.

    Blanks do not count, so formatting loses nothing; a renamed variable loses that word. Words are looked for
    in one stretch around the longest run that was kept, not all over the file, where each of them may stand
    for other reasons. A text without words has nothing to lose.
    """
    wanted = _WORD.findall(accepted)
    if not wanted:
        return 1.0
    near = document[max(0, offset - _NEAR) : offset + len(accepted) + _NEAR]
    if accepted in near:
        return 1.0
    words = _WORD.findall(near)
    run = SequenceMatcher(None, wanted, words, autojunk=False).find_longest_match(
        0, len(wanted), 0, len(words)
    )
    if not run.size:
        return 0.0
    slack = len(wanted) // 2
    start = max(0, run.b - run.a - slack)
    stretch = words[start : run.b - run.a + len(wanted) + slack]
    blocks = SequenceMatcher(None, wanted, stretch, autojunk=False).get_matching_blocks()
    found = [word for block in blocks for word in wanted[block.a : block.a + block.size]]
    return sum(map(len, found)) / sum(map(len, wanted))
