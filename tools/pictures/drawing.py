"""An editor's screen as values: boxes, words and icons with their places.

The modules of the editors read screens into these values, and ``svg`` writes them as SVG.
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
    """Text without spaces. It has a width, because a viewer may have another font."""

    x: float
    baseline: float
    width: float
    text: str
    size: float
    fill: str
    fixed: bool = True
    """In the editor's fixed-width font, instead of the font of its controls."""
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
class ScreenFrame:
    """The screen from one moment on. Items are painted in order."""

    at_s: float
    items: tuple[Item, ...]

    @property
    def words(self) -> str:
        """The text on it."""
        return " ".join(item.text for item in self.items if isinstance(item, Word))


def paced(frames: Sequence[ScreenFrame], *, longest_s: float, shortest_s: float) -> list[ScreenFrame]:
    """Return the frames from time 0, without those that were too short to see, and with long waits cut.

    Args:
        frames: In order.
        longest_s: Seconds that a screen stays at most.
        shortest_s: Screens that stayed for less time are left out, except the last one.
    """
    changes = [*frames[:1], *(after for before, after in pairwise(frames) if after.items != before.items)]
    seen = [frame for frame, after in pairwise(changes) if after.at_s - frame.at_s >= shortest_s]
    seen += changes[-1:]
    waits_s = [0, *(min(longest_s, after.at_s - before.at_s) for before, after in pairwise(seen))]
    return [evolve(frame, at_s=at_s) for frame, at_s in zip(seen, accumulate(waits_s), strict=True)]
