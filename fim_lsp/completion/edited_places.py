"""Where a document was edited: found by comparing its text before and after, and moved by later edits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from attrs import frozen

_EDITS = 4
"""Edits of a document that count as recent."""
_ONE_EDIT = 400
"""Characters: edits that are no further apart count as one."""
_UNFINISHED = 8
"""Unfinished lines of a document that are remembered."""
_FARTHEST = 200
"""Characters that are looked at for an earlier beginning of an edit."""
_ONLY_CLOSERS = re.compile(r"""[ \t\r)\]}>"'`;,]*(?:\n|$)""")
"""Rest of a line that holds no code yet: what an editor closed, or nothing."""


@frozen
class TextChange:
    """The part of a text that an edit replaced: all between the start and the end that both texts share."""

    start: int
    old_end: int
    new_end: int

    @classmethod
    def between(cls, before: str, after: str) -> TextChange:
        """Compare a text before and after an edit."""
        start = _shared_start(before, after)
        end = _shared_end(before, after, min(len(before), len(after)) - start)
        return cls(start, len(before) - end, len(after) - end)

    def move(self, offset: int) -> int:
        """Return where the edit moves an offset of the text before it."""
        if offset <= self.start:
            return offset
        return max(self.start, offset + self.new_end - self.old_end) if offset >= self.old_end else self.start

    def earliest(self, after: str) -> int:
        r"""Return where the edit began at the earliest.

        Example: from ``"a\n"`` to ``"a\n\n"`` a line break was inserted at 1 or at 2; the comparison finds 2.
        """
        start, inserted = self.start, self.new_end - self.start
        if inserted and self.start == self.old_end:
            while start > max(0, self.start - _FARTHEST) and after[start - 1] == after[start - 1 + inserted]:
                start -= 1
        return start


def move_edits(edits: Sequence[int], change: TextChange) -> tuple[int, ...]:
    """Return the offsets of a document's last edits behind a change, the last edit first.

    Args:
        edits: the same before the change.
        change: the newest edit.
    """
    newest = change.new_end
    moved = map(change.move, edits)
    return (newest, *(edit for edit in moved if abs(edit - newest) > _ONE_EDIT))[:_EDITS]


def move_unfinished(
    unfinished: Sequence[int], change: TextChange, before: str, after: str
) -> tuple[int, ...]:
    r"""Return where the user stopped typing at the end of a line, without having ended it; the last first.

    A line is ended by a key on it, as by Enter. One that the cursor left otherwise may be unfinished, and so
    are the lines of several cursors, which one change types on together.

    Example: ``o`` typed at two cursors, ``"f\n\nf"`` -> ``"fo\n\nfo"``: 6 and 2.

    Args:
        unfinished: the same before the change.
        change: the newest edit.
        before: the text before it.
        after: the text behind it.
    """
    line_start = before.rfind("\n", 0, change.earliest(after)) + 1
    line_end = before.find("\n", change.old_end)
    left = (
        change.move(offset)
        for offset in unfinished
        if offset < line_start or (line_end != -1 and offset > line_end)
    )
    typed = [end for end in _ends(change, before, after) if _is_end_of_line(after, end)]
    return (*reversed(typed), *left)[:_UNFINISHED]


def _is_end_of_line(text: str, offset: int) -> bool:
    """Tell whether a line has code before an offset, and nothing but closers behind it."""
    before = text[text.rfind("\n", 0, offset) + 1 : offset]
    return bool(before.strip() and _ONLY_CLOSERS.match(text, offset))


def _ends(change: TextChange, before: str, after: str) -> Iterator[int]:
    """Return the end of a change, or its ends in several lines, where it left as many lines as there were."""
    old = before[change.start : change.old_end].split("\n")
    new = after[change.start : change.new_end].split("\n")
    changed = sum(left != right for left, right in zip(old, new, strict=False))
    if len(old) != len(new) or not 1 < changed <= _UNFINISHED:
        yield change.new_end
        return
    start = change.start
    for left, right in zip(old, new, strict=True):
        if left != right:
            yield start + TextChange.between(left, right).new_end
        start += len(right) + 1


def _shared_start(left: str, right: str) -> int:
    """Count the characters that two texts share at the start, by halving: Python compares slices fast.

    Example: ``abcd`` and ``abxd`` share 2.
    """
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _shared_end(left: str, right: str, most: int) -> int:
    """Count the characters, at most ``most``, that two texts share at the end, by halving.

    Example: ``abcd`` and ``abxd`` share 1.
    """
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        ends = (text[len(text) - middle : len(text) - low] for text in (left, right))
        if next(ends) == next(ends):
            low = middle
        else:
            high = middle - 1
    return low
