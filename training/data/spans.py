"""Cut holes into files: choose their place by a seeded random generator, without any input or output.

A model completes well only at the kinds of positions it was trained on: one whose holes always began behind
the indentation gave no answer at column 0. So holes begin and end everywhere an editor's cursor can stand,
and each has a kind of start and of end, by which figures are given. Most holes are nodes of the syntax tree
(AST-FIM, arXiv 2506.00204) or the rest of a line, which is what a person types next.
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
"""Position of the cursor: the first kind that applies, in this order.

``column_0``: at the beginning of a line. ``indentation``: behind blanks only. ``line_end``: before a line
break or the end of the file. ``mid_word``: between two word characters. ``mid_line``: elsewhere.
"""
EndKind = Literal["mid_line", "block_end", "before_newline", "after_newline"]
"""Position of the hole's end. ``block_end``: at a line's end, if the next line with text is indented less."""
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
    """A file cut into prefix, middle and suffix; the middle's first ``typed`` characters count as typed."""

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
        """The prefix and the typed part of the middle."""
        return self.prefix + self.middle[: self.typed]

    @property
    def rest(self) -> str:
        """The part of the middle that is missing at the cursor."""
        return self.middle[self.typed :]

    @property
    def lines(self) -> int:
        """Number of the middle's lines that are not blank; 0 for an empty middle."""
        return sum(bool(line.strip()) for line in self.middle.split("\n"))

    @property
    def start_kind(self) -> StartKind:
        """Kind of the cursor's position."""
        return start_kind(self.before_cursor, self.rest + self.suffix[:1])

    @property
    def end_kind(self) -> EndKind:
        """Kind of the middle's end."""
        return end_kind(self.prefix + self.middle, self.suffix)


def start_kind(before: str, after: str) -> StartKind:
    """Return the kind of a cursor's position between ``before`` and ``after``, which are adjacent.

    After ``if x:``, a line break and four spaces, before ``y``, it is ``indentation``.
    """
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
    """Return the kind of end between ``before`` (prefix and middle) and ``after`` (suffix)."""
    at_line_start = not before or before[-1] == "\n"
    if not at_line_start and after and after[0] != "\n":
        return "mid_line"
    if _next_indent(after) < _last_indent(before):
        return "block_end"
    return "after_newline" if at_line_start else "before_newline"


def _next_indent(text: str) -> int:
    """Return the indentation of the first line with text; -1 at the end of the file (all blocks end)."""
    found = _NEXT_INDENT.search(text[:_LOOK_AHEAD])
    return len(found.group(1)) if found else -1


def _last_indent(text: str) -> int:
    """Return the indentation of the last line with text; -1 if there is none."""
    lines = text[-_LOOK_AHEAD:].rstrip()
    line = lines[lines.rfind("\n") + 1 :]
    return len(line) - len(line.lstrip(" \t")) if line else -1


@frozen
class ParsedFile:
    """A file to cut holes into; its lines and its syntax tree are computed once."""

    text: str = field(repr=False)
    language: str

    @cached_property
    def line_starts(self) -> tuple[int, ...]:
        """Offsets at which lines begin."""
        return (0, *(match.end() for match in re.finditer("\n", self.text)))

    @cached_property
    def data(self) -> bytes:
        """The text in UTF-8, as the parser reads it."""
        return self.text.encode("utf-8", "replace")

    @cached_property
    def root(self) -> Node | None:
        """Root of the syntax tree; None for a language without a grammar."""
        parser = parser_for(self.language)
        return parser.parse(self.data).root_node if parser else None

    def line_at(self, offset: int) -> Range:
        """Return start and end, without the line break, of the line that contains ``offset``."""
        index = bisect_right(self.line_starts, offset) - 1
        last = index + 1 == len(self.line_starts)
        return self.line_starts[index], len(self.text) if last else self.line_starts[index + 1] - 1

    def char_offset(self, byte: int) -> int:
        """Convert an offset in bytes to an offset in characters."""
        return byte if len(self.data) == len(self.text) else len(self.data[:byte].decode("utf-8", "replace"))


def choose_hole(
    file: ParsedFile, mix: SpanMix, rng: Random, *, max_chars: int = 700, anchored_rate: float = 0.5
) -> Hole | None:
    """Cut one hole.

    Args:
        file: the file to cut.
        mix: share of each kind; a language without a grammar has lines instead of nodes.
        rng: the random generator.
        max_chars: longest middle; a longer one is discarded, never shortened.
        anchored_rate: share of the holes in which the beginning of the middle counts as typed.

    Returns:
        The hole, or None if none was found in a few tries.
    """
    shares = attrs.asdict(mix)
    kind: HoleKind = rng.choices(list(_CUTTERS), [shares[name] for name in _CUTTERS])[0]
    for _ in range(_TRIES):
        cut = _CUTTERS[kind](file, rng, max_chars)
        if cut is None or not _is_usable(file.text[cut[0] : cut[1]], kind, max_chars):
            continue
        hole = make_hole(file.text, cut, kind)
        return anchored(hole, rng) if rng.random() < anchored_rate else hole
    return None


def make_hole(text: str, cut: Range, kind: HoleKind) -> Hole:
    """Make the hole between two offsets."""
    start, end = cut
    return Hole(text[:start], text[start:end], text[end:], kind)


def anchored(hole: Hole, rng: Random) -> Hole:
    """Return the hole with a random beginning of its middle typed; unchanged if only blanks would be left."""
    if len(hole.middle) < 2:
        return hole
    typed = rng.randrange(1, len(hole.middle))
    if rng.random() < 0.6:
        # People pause between words more often than inside them.
        typed = next((match.start() for match in _BOUNDARY.finditer(hole.middle, typed)), typed)
    later = attrs.evolve(hole, typed=typed)
    return later if later.rest.strip() else hole


def _is_usable(middle: str, kind: HoleKind, max_chars: int) -> bool:
    return not middle if kind == "empty" else bool(middle.strip()) and len(middle) <= max_chars


def _node(file: ParsedFile, rng: Random, max_chars: int) -> Range | None:
    """Cut a node of the tree around a random position, so that larger nodes are more frequent."""
    if file.root is None:
        return _lines(file, rng, max_chars)
    byte = rng.randrange(max(1, len(file.data)))
    node = file.root.descendant_for_byte_range(byte, byte)
    found: list[Range] = []
    while node is not None and node.end_byte - node.start_byte <= max_chars:
        cut = (node.start_byte, node.end_byte)
        if cut[1] - cut[0] > 1 and cut not in found:
            found.append(cut)
        node = node.parent
    if not found:
        return None
    start, end = (file.char_offset(byte) for byte in rng.choice(found))
    return _moved_start(file, start, end, rng), _moved_end(file, start, end, rng)


def _moved_start(file: ParsedFile, start: int, end: int, rng: Random) -> int:
    """Return the node's start, or another position from which a user would type it."""
    line, _ = file.line_at(start)
    drawn = rng.random()
    if drawn < 0.12 and end - start > 2:
        return start + rng.randrange(1, min(end - start, 12))
    if file.text[line:start].strip() or drawn < 0.5:
        return start
    return line if drawn < 0.8 else _line_end_before(file, line)


def _moved_end(file: ParsedFile, start: int, end: int, rng: Random) -> int:
    """Return the node's end, or the position behind the closers or the line break that follow it."""
    _, line_end = file.line_at(end)
    following = file.text[end:line_end]
    if not following.strip():
        return min(line_end + 1, len(file.text)) if rng.random() < 0.4 else end
    closes = _TRAILING_CLOSERS.fullmatch(following)
    return line_end if closes and rng.random() < 0.4 else end


def _line_end_before(file: ParsedFile, line: int) -> int:
    """Return the end of the last line with text before ``line``; the middle then begins with a line break."""
    return len(file.text[max(0, line - 200) : line].rstrip()) + max(0, line - 200)


def _line_rest(file: ParsedFile, rng: Random, max_chars: int) -> Range | None:
    """Cut from a cursor to the end of its line."""
    start, end = file.line_at(rng.choice(file.line_starts))
    line = file.text[start:end]
    if len(line.strip()) < 2:
        return None
    begin = _cursor_in(file, start, line, rng)
    drawn = rng.random()
    if drawn < (0.5 if begin == start else 0.1):
        return begin, min(end + 1, len(file.text))
    closers = _TRAILING_CLOSERS.search(line)
    return begin, start + closers.start() if closers and drawn < 0.3 else end


def _cursor_in(file: ParsedFile, start: int, line: str, rng: Random) -> int:
    """Draw a position at which a user's cursor may stand while this line is written."""
    indent = len(line) - len(line.lstrip())
    drawn = rng.random()
    if drawn < 0.18:
        return start
    if drawn < 0.42:
        return start + indent
    if drawn < 0.56:
        return _line_end_before(file, start)
    if drawn < 0.72:
        return start + rng.randrange(indent, len(line))
    boundaries = [match.start() for match in _BOUNDARY.finditer(line, indent)]
    return start + rng.choice(boundaries or [indent])


def _lines(file: ParsedFile, rng: Random, max_chars: int) -> Range | None:
    """Cut 1 to 12 whole lines, in most cases few."""
    count = min(12, 1 + int(rng.expovariate(1 / 2.5)))
    index = rng.randrange(len(file.line_starts))
    start = file.line_starts[index]
    _, end = file.line_at(file.line_starts[min(index + count, len(file.line_starts)) - 1])
    drawn = rng.random()
    if drawn < 0.2:
        return _line_end_before(file, start), end
    if drawn < 0.4:
        line = file.text[start:end]
        start += len(line) - len(line.lstrip(" \t"))
    return start, min(end + 1, len(file.text)) if rng.random() < 0.6 else end


def _random(file: ParsedFile, rng: Random, max_chars: int) -> Range | None:
    """Cut characters anywhere, with a log-uniform length: most holes are short, some have several lines."""
    longest = min(_LONGEST_RANDOM, max_chars, len(file.text))
    if longest < 1:
        return None
    length = round(math.exp(rng.uniform(0, math.log(longest))))
    start = rng.randrange(len(file.text) - length + 1)
    return start, start + length


def _empty(file: ParsedFile, rng: Random, max_chars: int) -> Range | None:
    """Choose a cursor at which nothing is missing."""
    start, end = file.line_at(rng.choice(file.line_starts))
    drawn = rng.random()
    if drawn < 0.4:
        cursor = end
    elif drawn < 0.6:
        line = file.text[start:end]
        cursor = start + rng.choice((0, len(line) - len(line.lstrip())))
    else:
        cursor = rng.randint(start, end)
    return cursor, cursor


_CUTTERS: Mapping[HoleKind, Callable[[ParsedFile, Random, int], Range | None]] = MappingProxyType(
    {"node": _node, "line_rest": _line_rest, "lines": _lines, "random": _random, "empty": _empty}
)
