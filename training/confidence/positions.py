"""Choose the cursors at which suggestions are collected: those of a person who types a hole's true text.

At each hole the cursor stands where the hole begins, behind some of its words, and, where the line ends with
the hole, behind all of it: there nothing is missing, and every suggestion is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING

from attrs import field, frozen

from training.config import SpanMix

if TYPE_CHECKING:
    from training.data.screening import SourceFile
    from training.data.spans import Hole

_MIX = SpanMix(node=0.2, line_rest=0.35, lines=0.2, random=0.05, empty=0.2)
_WORD_END = re.compile(r"(?<=\w)\b|(?<=\W)(?=\w)")
_TYPED_PLACES = 2
"""Further cursors within a hole."""


@frozen
class CursorPosition:
    """A cursor in a file of which some text is missing."""

    source: str
    """The repository."""
    path: str
    language: str
    start: int
    """Offset at which the hole begins."""
    typed: int
    """Characters of the hole that stand before the cursor."""
    end: int
    """Offset at which the hole ends."""
    text: str = field(repr=False)
    """The whole file."""

    @property
    def key(self) -> str:
        """The name of the position, unique among all."""
        return f"{self.source}/{self.path}:{self.start}+{self.typed}-{self.end}"

    @property
    def cursor(self) -> int:
        """Offset of the cursor, in the file and in the document."""
        return self.start + self.typed

    @property
    def document(self) -> str:
        """The file without what is missing."""
        return self.text[: self.cursor] + self.text[self.end :]

    @property
    def missing(self) -> str:
        """The text that belongs at the cursor; empty where the code is complete."""
        return self.text[self.cursor : self.end]


def choose_positions(
    files: Sequence[SourceFile], holes: int, seed: int
) -> tuple[tuple[CursorPosition, ...], ...]:
    """Choose positions hole by hole, one hole in each file in turn.

    Args:
        files: the files to cut.
        holes: number of holes.
        seed: decides the order of the files and every cut.

    Returns:
        The positions of each hole, in the order in which they are typed.
    """
    from training.data.spans import ParsedFile, choose_hole

    rng = Random(seed)
    order = sorted(files, key=lambda file: file.key)
    rng.shuffle(order)
    parsed = [(file, ParsedFile(file.text, file.language)) for file in order]
    chosen: list[tuple[CursorPosition, ...]] = []
    turn = 0
    while len(chosen) < holes and turn < holes:
        for file, document in parsed:
            own = Random(f"{seed}\0{file.key}\0{turn}")
            hole = choose_hole(document, _MIX, own, anchored_rate=0.0)
            if hole is not None and len(chosen) < holes:
                chosen.append(tuple(_along(file, hole, own)))
        turn += 1
    return tuple(chosen)


def _along(file: SourceFile, hole: Hole, rng: Random) -> Iterator[CursorPosition]:
    middle = hole.middle
    ends = [match.start() for match in _WORD_END.finditer(middle) if 0 < match.start() < len(middle.rstrip())]
    typed = {0, *rng.sample(ends, min(_TYPED_PLACES, len(ends)))}
    if middle.strip() and hole.suffix.startswith("\n") and not middle.endswith("\n"):
        typed.add(len(middle))
    start = len(hole.prefix)
    for count in sorted(typed):
        yield CursorPosition(
            file.source, file.path, file.language, start, count, start + len(middle), hole.text
        )
