"""Where to cut a hole into a file: pure and seeded; the step between a filtered file and a row.

A model only completes well where it was trained to: one whose holes always began behind the indentation
answered nothing at all at column 0. So holes begin and end everywhere an editor's cursor can stand, and each
says where, so that figures can be given by kind. What is cut is mostly what a syntax tree calls one thing
(AST-FIM, arXiv 2506.00204) and what a person types next: the rest of a line.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from functools import cached_property
from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import attrs
from attrs import field, frozen

from fim_lsp.code.syntax import parser_for
from training.config import SpanMix

if TYPE_CHECKING:
    from tree_sitter import Node

HoleKind = Literal["node", "line_rest", "lines", "random", "empty", "history", "left_to_right", "benchmark"]
"""The way in which a hole was chosen.

``history`` holes are insertions of commits, ``benchmark`` holes those of a benchmark's file; a row of kind
``left_to_right`` has no hole. The others are the cutters of this module.
"""
StartKind = Literal["column_0", "indentation", "line_end", "mid_word", "mid_line"]
"""Where the cursor stands; the first that applies, in this order.

``column_0``: at the beginning of a line. ``indentation``: only blanks before it. ``line_end``: what follows
begins with a line break, or the file ends here. ``mid_word``: between two word characters.
"""
EndKind = Literal["mid_line", "block_end", "before_newline", "after_newline"]
"""Where the hole ends. ``block_end``: at a line's end, and the next line with text is indented less."""
Range = tuple[int, int]

_TRIES = 16
_LONGEST_RANDOM = 400
_LOOK_AHEAD = 4000
_WORD = re.compile(r"\w")
_NEXT_INDENT = re.compile(r"^([ \t]*)\S", re.MULTILINE)
_TRAILING_CLOSERS = re.compile(r"[)\]}\"'`:;,>]+$")
_BOUNDARY = re.compile(r"\b|(?<=\W)(?=[^\w\s])")


@frozen
class Hole:
    """A file cut in three. ``typed`` characters of the middle already stand before the cursor."""

    prefix: str = field(repr=False)
    middle: str
    suffix: str = field(repr=False)
    kind: HoleKind
    typed: int = 0

    @property
    def text(self) -> str:
        """The whole file."""
        return self.prefix + self.middle + self.suffix

    @property
    def before_cursor(self) -> str:
        """The prefix and what is typed of the middle."""
        return self.prefix + self.middle[: self.typed]

    @property
    def rest(self) -> str:
        """What is to be written at the cursor."""
        return self.middle[self.typed :]

    @property
    def lines(self) -> int:
        """Number of the middle's lines that are not blank; 0 for an empty middle."""
        return sum(bool(line.strip()) for line in self.middle.split("\n"))

    @property
    def start_kind(self) -> StartKind:
        """Where the cursor stands."""
        return start_kind(self.before_cursor, self.rest + self.suffix[:1])

    @property
    def end_kind(self) -> EndKind:
        """Where the middle ends."""
        return end_kind(self.prefix + self.middle, self.suffix)


def start_kind(before: str, after: str) -> StartKind:
    """Where a cursor between ``before`` and ``after`` stands, nothing missing between them."""
    line = before[before.rfind("\n") + 1 :]
    if not line:
        return "column_0"
    if line.isspace():
        return "indentation"
    if not after or after[0] == "\n":
        return "line_end"
    if _WORD.match(line[-1]) and _WORD.match(after[0]):
        return "mid_word"
    return "mid_line"


def end_kind(before: str, after: str) -> EndKind:
    """What kind of end lies between ``before`` (prefix and middle) and ``after`` (suffix)."""
    at_line_start = not before or before[-1] == "\n"
    if not at_line_start and after and after[0] != "\n":
        return "mid_line"
    if _next_indent(after) < _last_indent(before):
        return "block_end"
    return "after_newline" if at_line_start else "before_newline"


def _next_indent(text: str) -> int:
    """Indentation of the first line with text; -1 at the end of the file, which ends every block."""
    found = _NEXT_INDENT.search(text[:_LOOK_AHEAD])
    return len(found.group(1)) if found else -1


def _last_indent(text: str) -> int:
    """Indentation of the last line with text; -1 where there is none."""
    lines = text[-_LOOK_AHEAD:].rstrip()
    line = lines[lines.rfind("\n") + 1 :]
    return len(line) - len(line.lstrip(" \t")) if line else -1


@frozen
class ParsedFile:
    """A file to cut holes into; its lines and its syntax tree are found once."""

    text: str = field(repr=False)
    language: str

    @cached_property
    def line_starts(self) -> tuple[int, ...]:
        """Offsets at which lines begin."""
        return (0, *(match.end() for match in re.finditer("\n", self.text)))

    @cached_property
    def data(self) -> bytes:
        """The text as the parser reads it."""
        return self.text.encode("utf-8", "replace")

    @cached_property
    def root(self) -> Node | None:
        """The syntax tree's root, or None for a language without a grammar."""
        parser = parser_for(self.language)
        return parser.parse(self.data).root_node if parser else None

    def line_at(self, offset: int) -> Range:
        """Start and end (its line break excluded) of the line that holds ``offset``."""
        index = bisect_right(self.line_starts, offset) - 1
        last = index + 1 == len(self.line_starts)
        return self.line_starts[index], len(self.text) if last else self.line_starts[index + 1] - 1

    def chars(self, byte: int) -> int:
        """The offset in characters of an offset in bytes."""
        return byte if len(self.data) == len(self.text) else len(self.data[:byte].decode("utf-8", "replace"))


def choose_hole(
    document: ParsedFile, mix: SpanMix, rng: Random, *, max_chars: int = 700, anchored_rate: float = 0.5
) -> Hole | None:
    """Cut one hole.

    Args:
        document: what to cut.
        mix: how often each kind is tried; a language without a grammar has lines instead of nodes.
        rng: the only source of chance.
        max_chars: longest middle; a longer one is discarded, never shortened.
        anchored_rate: how often the middle's beginning counts as typed already.

    Returns:
        The hole, or None where none was found in a few tries.
    """
    shares = attrs.asdict(mix)
    kind: HoleKind = rng.choices(list(_CUTTERS), [shares[name] for name in _CUTTERS])[0]
    for _ in range(_TRIES):
        cut = _CUTTERS[kind](document, rng, max_chars)
        if cut is None or not _is_usable(document.text[cut[0] : cut[1]], kind, max_chars):
            continue
        hole = make_hole(document.text, cut, kind)
        return anchored(hole, rng) if rng.random() < anchored_rate else hole
    return None


def make_hole(text: str, cut: Range, kind: HoleKind) -> Hole:
    """The hole between two offsets."""
    start, end = cut
    return Hole(text[:start], text[start:end], text[end:], kind)


def anchored(hole: Hole, rng: Random) -> Hole:
    """The same hole, its beginning typed already, if then something but blanks is left to write."""
    if len(hole.middle) < 2:
        return hole
    typed = rng.randrange(1, len(hole.middle))
    if rng.random() < 0.6:
        # People pause between words more often than within them.
        typed = next((match.start() for match in _BOUNDARY.finditer(hole.middle, typed)), typed)
    later = attrs.evolve(hole, typed=typed)
    return later if later.rest.strip() else hole


def _is_usable(middle: str, kind: HoleKind, max_chars: int) -> bool:
    return not middle if kind == "empty" else bool(middle.strip()) and len(middle) <= max_chars


def _node(document: ParsedFile, rng: Random, max_chars: int) -> Range | None:
    """A node of the tree around a place drawn evenly, so that larger nodes are likelier."""
    if document.root is None:
        return _lines(document, rng, max_chars)
    byte = rng.randrange(max(1, len(document.data)))
    node = document.root.descendant_for_byte_range(byte, byte)
    found: list[Range] = []
    while node is not None and node.end_byte - node.start_byte <= max_chars:
        cut = (node.start_byte, node.end_byte)
        if cut[1] - cut[0] > 1 and cut not in found:
            found.append(cut)
        node = node.parent
    if not found:
        return None
    start, end = (document.chars(byte) for byte in rng.choice(found))
    return _moved_start(document, start, end, rng), _moved_end(document, start, end, rng)


def _moved_start(document: ParsedFile, start: int, end: int, rng: Random) -> int:
    """The node's start, or another place where a cursor would stand to write it."""
    line, _ = document.line_at(start)
    drawn = rng.random()
    if drawn < 0.12 and end - start > 2:
        return start + rng.randrange(1, min(end - start, 12))
    if document.text[line:start].strip() or drawn < 0.5:
        return start
    return line if drawn < 0.8 else _line_end_before(document, line)


def _moved_end(document: ParsedFile, start: int, end: int, rng: Random) -> int:
    """The node's end, or behind the closers or the line break that follow it."""
    _, line_end = document.line_at(end)
    following = document.text[end:line_end]
    if not following.strip():
        return min(line_end + 1, len(document.text)) if rng.random() < 0.4 else end
    closes = _TRAILING_CLOSERS.fullmatch(following)
    return line_end if closes and rng.random() < 0.4 else end


def _line_end_before(document: ParsedFile, line: int) -> int:
    """The end of the last line with text before ``line``, so that what is written begins with its break."""
    return len(document.text[max(0, line - 200) : line].rstrip()) + max(0, line - 200)


def _line_rest(document: ParsedFile, rng: Random, max_chars: int) -> Range | None:
    """From a cursor to the end of its line."""
    start, end = document.line_at(rng.choice(document.line_starts))
    line = document.text[start:end]
    if len(line.strip()) < 2:
        return None
    begin = _cursor_in(document, start, line, rng)
    drawn = rng.random()
    if drawn < (0.5 if begin == start else 0.1):
        return begin, min(end + 1, len(document.text))
    closers = _TRAILING_CLOSERS.search(line)
    return begin, start + closers.start() if closers and drawn < 0.3 else end


def _cursor_in(document: ParsedFile, start: int, line: str, rng: Random) -> int:
    """Where a cursor stands when somebody writes this line."""
    indent = len(line) - len(line.lstrip())
    drawn = rng.random()
    if drawn < 0.18:
        return start
    if drawn < 0.42:
        return start + indent
    if drawn < 0.56:
        return _line_end_before(document, start)
    if drawn < 0.72:
        return start + rng.randrange(indent, len(line))
    places = [match.start() for match in _BOUNDARY.finditer(line, indent)]
    return start + rng.choice(places or [indent])


def _lines(document: ParsedFile, rng: Random, max_chars: int) -> Range | None:
    """One to a dozen whole lines, few of them mostly."""
    count = min(12, 1 + int(rng.expovariate(1 / 2.5)))
    index = rng.randrange(len(document.line_starts))
    start = document.line_starts[index]
    _, end = document.line_at(document.line_starts[min(index + count, len(document.line_starts)) - 1])
    drawn = rng.random()
    if drawn < 0.2:
        return _line_end_before(document, start), end
    if drawn < 0.4:
        line = document.text[start:end]
        start += len(line) - len(line.lstrip(" \t"))
    return start, min(end + 1, len(document.text)) if rng.random() < 0.6 else end


def _random(document: ParsedFile, rng: Random, max_chars: int) -> Range | None:
    """Characters anywhere, the length log-uniform: most holes short, some of several lines."""
    longest = min(_LONGEST_RANDOM, max_chars, len(document.text))
    if longest < 1:
        return None
    length = round(math.exp(rng.uniform(0, math.log(longest))))
    start = rng.randrange(len(document.text) - length + 1)
    return start, start + length


def _empty(document: ParsedFile, rng: Random, max_chars: int) -> Range | None:
    """A cursor where nothing is missing."""
    start, end = document.line_at(rng.choice(document.line_starts))
    drawn = rng.random()
    if drawn < 0.4:
        place = end
    elif drawn < 0.6:
        line = document.text[start:end]
        place = start + rng.choice((0, len(line) - len(line.lstrip())))
    else:
        place = rng.randint(start, end)
    return place, place


_CUTTERS: Mapping[HoleKind, Callable[[ParsedFile, Random, int], Range | None]] = MappingProxyType(
    {"node": _node, "line_rest": _line_rest, "lines": _lines, "random": _random, "empty": _empty}
)
