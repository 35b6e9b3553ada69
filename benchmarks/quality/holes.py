"""Cut holes into the files of a repository, at the places where a person types.

Kinds: the rest of a line behind a word or bracket, a whole line, a block of two to four lines, the arguments
of a call whose closing bracket the editor inserted, and ``complete``: the end of a line behind which nothing
is missing. None begins in a comment or a string.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Literal

from attrs import field, frozen

from fim_lsp.code.lexical import scan

HoleKind = Literal["line_rest", "line", "block", "arguments", "complete"]
KINDS: tuple[HoleKind, ...] = ("line_rest", "line", "block", "arguments", "complete")
Span = tuple[int, int]

_SHARES: Mapping[HoleKind, int] = MappingProxyType(
    {"line_rest": 4, "line": 3, "block": 1, "arguments": 1, "complete": 2}
)
_TRIES = 40
_SHORTEST = 4
"""Characters of a hole, at least."""
_LONGEST = 240
_WORD_END = re.compile(r"(?<=[\w(\[{,=.:\"'])(?=[^\w])|(?<=[(\[{.])(?=\w)|(?<= )(?=\w)")
_CALL = re.compile(r"\w\(([^()\n]{4,80})\)")
_COMMENT = re.compile(r"[ \t]*(#|//|/\*|\*)")


@frozen
class SourceText:
    """A file of a repository."""

    path: str
    """Relative to the repository, with ``/``."""
    language: str
    text: str = field(repr=False)


@frozen
class QualityHole:
    """A file with a hole. ``middle`` is empty where nothing is missing."""

    repository: str
    path: str
    language: str
    kind: HoleKind
    prefix: str = field(repr=False)
    middle: str
    suffix: str = field(repr=False)

    @property
    def name(self) -> str:
        """A name that no other hole has."""
        place = f"{self.repository}/{self.path}:{len(self.prefix)}+{len(self.middle)}"
        return f"{place}:{self.kind}"


def cut_holes(repository: str, files: Sequence[SourceText], count: int, seed: int) -> tuple[QualityHole, ...]:
    """Cut ``count`` holes, in files in turn; fewer where the repository has no place for more.

    A larger ``count`` gives the same holes and more behind them.
    """
    in_turn = sorted(files, key=lambda file: sha256(f"{seed}\0{file.path}".encode()).digest())
    found: list[QualityHole] = []
    names: set[str] = set()
    for turn in range(max(1, count)):
        for file in in_turn:
            if len(found) == count:
                return tuple(found)
            hole = _cut(repository, file, Random(f"{seed}\0{repository}\0{file.path}\0{turn}"))
            if hole is not None and hole.name not in names:
                names.add(hole.name)
                found.append(hole)
    return tuple(found)


def read_sources(root: Path) -> tuple[SourceText, ...]:
    """Return the hand-written code of a repository."""
    from training.evaluate.cuts import source_files

    return tuple(SourceText(file.path, file.language, file.text) for file in source_files(root))


def _cut(repository: str, file: SourceText, rng: Random) -> QualityHole | None:
    kinds: list[HoleKind] = list(_SHARES)
    kind = rng.choices(kinds, list(_SHARES.values()))[0]
    for _ in range(_TRIES):
        span = _CUTTERS[kind](file.text, rng)
        if span is None:
            continue
        start, end = span
        middle = file.text[start:end]
        fits = _SHORTEST <= len(middle) <= _LONGEST or kind == "complete"
        if fits and middle == middle.strip() and scan(file.text[:start], file.language).inside is None:
            text = file.text
            return QualityHole(repository, file.path, file.language, kind, text[:start], middle, text[end:])
    return None


def _lines(text: str) -> list[Span]:
    """Return the ranges of all lines of code, without blanks around them and without line breaks."""
    found = []
    for line in re.finditer(r"[^\n]+", text):
        if line[0].strip() and not _COMMENT.match(line[0]):
            start = line.start() + len(line[0]) - len(line[0].lstrip())
            found.append((start, line.start() + len(line[0].rstrip())))
    return found


def _line(text: str, rng: Random) -> Span | None:
    lines = _lines(text)
    return rng.choice(lines) if lines else None


def _line_rest(text: str, rng: Random) -> Span | None:
    line = _line(text, rng)
    if line is None:
        return None
    start, end = line
    places = [found.start() + start for found in _WORD_END.finditer(text[start : end - 2])]
    places = [place for place in places if place > start and not text[place].isspace()]
    return (rng.choice(places), end) if places else None


def _block(text: str, rng: Random) -> Span | None:
    lines = _lines(text)
    if len(lines) < 8:
        return None
    first = rng.randrange(len(lines) - 4)
    last = first + rng.randint(1, 3)
    indents = [start - (text.rfind("\n", 0, start) + 1) for start, _ in lines[first : last + 1]]
    return (lines[first][0], lines[last][1]) if min(indents) == indents[0] else None


def _arguments(text: str, rng: Random) -> Span | None:
    calls = [found.span(1) for found in _CALL.finditer(text)]
    return rng.choice(calls) if calls else None


def _complete(text: str, rng: Random) -> Span | None:
    """Return a line's end, behind a statement, before a line that is indented as much or less."""
    lines = _lines(text)
    if len(lines) < 3:
        return None
    index = rng.randrange(len(lines) - 1)
    (start, end), (following, _) = lines[index], lines[index + 1]
    indent = start - (text.rfind("\n", 0, start) + 1)
    indent_below = following - (text.rfind("\n", 0, following) + 1)
    ended = text[end - 1] not in ",([{:=+-*/\\&|<>." and indent_below <= indent
    return (end, end) if ended else None


_CUTTERS: Mapping[HoleKind, Callable[[str, Random], Span | None]] = MappingProxyType(
    {
        "line_rest": _line_rest,
        "line": _line,
        "block": _block,
        "arguments": _arguments,
        "complete": _complete,
    }
)


def interleave(holes: Sequence[Sequence[QualityHole]]) -> Iterator[QualityHole]:
    """Yield the holes of all repositories, so that the first N are spread over them."""
    for turn in range(max(map(len, holes), default=0)):
        for own in holes:
            if turn < len(own):
                yield own[turn]
