"""Cut a text where the user stopped typing: an unfinished line is no example of how a line ends."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_LAST_WORD = re.compile(r"[ \t]*(?:\w+|[^\w\s]+)?\Z")
"""A token may hold the blanks before a word. The word may be unfinished too."""
_LONGEST_WORD = 100


def cut_unfinished(text: str, unfinished: Iterable[int]) -> Iterator[tuple[str, int]]:
    r"""Return the pieces of a text between its unfinished places, each with the line that it begins with.

    Nothing votes from one piece to the next, nor for the last word of an unfinished line.

    Example: ``"a = to\nb = 1"``, left unfinished behind ``to`` -> ``"a ="`` and ``"\nb = 1"``, both line 0.
    """
    start = line = 0
    for place in sorted({place for place in unfinished if 0 < place < len(text)}):
        last_word = _LAST_WORD.search(text[max(start, place - _LONGEST_WORD) : place])
        yield text[start : place - len(last_word[0] if last_word else "")], line
        line += text.count("\n", start, place)
        start = place
    yield text[start:], line
