"""What an editor's screen is made of, as values: boxes, words and icons, each where it was.

Both editors are read into these, and ``svg`` writes them down; nothing here knows either.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import TypeAlias

from attrs import evolve, frozen


@frozen
class Box:
    """A filled rectangle; lengths in pixels."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    radius: float = 0


@frozen
class Word:
    """Text without spaces. Its width is part of it: a viewer may have another font."""

    x: float
    baseline: float
    width: float
    text: str
    size: float
    fill: str
    fixed: bool = True
    """In the editor's fixed-width font, not in the font of its controls."""
    bold: bool = False
    italic: bool = False


@frozen
class Icon:
    """A glyph of an icon font, as a path in font units with y upwards."""

    x: float
    baseline: float
    scale: float
    """Pixels a font unit."""
    path: str
    fill: str


Item: TypeAlias = Box | Word | Icon


@frozen
class Frame:
    """The screen from one moment on, painted in order."""

    at_s: float
    items: tuple[Item, ...]

    @property
    def words(self) -> str:
        """Everything written on it, to find something in."""
        return " ".join(item.text for item in self.items if isinstance(item, Word))


def paced(frames: Sequence[Frame], *, longest_s: float, shortest_s: float) -> list[Frame]:
    """The frames from time 0, without those that nobody could have seen, with no wait too long.

    Args:
        frames: In order.
        longest_s: A screen that stood still for longer goes on after this many seconds.
        shortest_s: Screens that were there for less time are left out, the last one never.
    """
    changes = [*frames[:1], *(after for before, after in pairwise(frames) if after.items != before.items)]
    seen = [one for one, after in pairwise(changes) if after.at_s - one.at_s >= shortest_s] + changes[-1:]
    waits_s = [0, *(min(longest_s, after.at_s - before.at_s) for before, after in pairwise(seen))]
    return [evolve(frame, at_s=at_s) for frame, at_s in zip(seen, accumulate(waits_s), strict=True)]
