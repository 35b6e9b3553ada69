"""Tokens of many files, and an index of where each pair of tokens stands.

The index is one sort: a pair of tokens and the position behind it fit into one integer of 64 bits. A range of
the sorted integers is found by binary search, and longer matches are a filter on it (:mod:`.matches`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from fim_lsp.engine.memory.chunks import TokenArray

LONGEST_MATCH = 16
"""Tokens of a context that are compared at most."""
DEFAULT_MAX_TOKENS = 6_000_000
"""Tokens of a corpus, if nothing else is asked for: about 70 MB with a vocabulary below 65,535 tokens."""
_POSITION_BITS = 23
_TOKEN_BITS = 20
MOST_TOKENS = (1 << _POSITION_BITS) - 1
"""Tokens that a corpus holds at most, boundaries included; a larger index is divided into several corpora."""

Positions = npt.NDArray[np.int32]
StoredTokens = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]
"""Tokens in the smallest type that holds them; its highest value is the boundary between files."""


@frozen(eq=False)
class TokenizedFile:
    """One version of a file."""

    path: str
    """The file's real path, as ``Path.as_posix()`` writes it."""
    language: str
    tokens: TokenArray = field(repr=False)
    modified: float = 0.0
    """Seconds since the epoch; 0 where it is not known."""


@frozen(eq=False)
class CorpusFile:
    """The place of a file in a corpus."""

    path: str
    language: str
    modified: float
    start: int
    """Position of the first token."""
    end: int
    """Position behind the last token."""


@frozen(eq=False)
class TokenCorpus:
    """The tokens of files and an index of their pairs. Immutable, so any thread may read it."""

    files: tuple[CorpusFile, ...] = field(repr=False)
    tokens: StoredTokens = field(repr=False)
    """Shape (tokens and boundaries,): all files, with boundaries before, between and behind them."""
    starts: Positions = field(repr=False)
    """Position of each file's first token, shape (files,), ascending."""
    positions: Positions = field(repr=False)
    """Positions that follow a pair of tokens of the same file, by pair and then ascending, shape (pairs,)."""
    following: StoredTokens = field(repr=False)
    """The token at each of these positions, shape (pairs,)."""
    keys: npt.NDArray[np.int64] = field(repr=False)
    """The pairs that occur, ascending, shape (distinct pairs,)."""
    ranges: Positions = field(repr=False)
    """Index into ``positions`` at which each pair begins, and the end, shape (distinct pairs + 1,)."""
    _by_path: Mapping[str, int] = field(init=False, repr=False)

    @_by_path.default
    def _index_paths(self) -> Mapping[str, int]:
        return {file.path: index for index, file in enumerate(self.files)}

    @classmethod
    def build(cls, files: Iterable[TokenizedFile], max_tokens: int = DEFAULT_MAX_TOKENS) -> TokenCorpus:
        """Index files, about 0.1 s for a million tokens.

        Args:
            files: The nearest first; those that do not fit any more are left out.
            max_tokens: Room for tokens and boundaries, at most :data:`MOST_TOKENS`.
        """
        kept, placed = _place(files, min(max_tokens, MOST_TOKENS))
        tokens = _join(kept, placed)
        boundary = boundary_of(tokens)
        wide = tokens.astype(np.int64)
        # A position needs two tokens of its file before it, and a token of it to vote for.
        usable = np.ones(max(0, len(wide) - 2), np.bool_)
        for shift in range(3):
            usable &= wide[shift : len(wide) - 2 + shift] != boundary
        positions = np.flatnonzero(usable) + 2
        packed = _key(wide[positions - 2], wide[positions - 1]) << _POSITION_BITS | positions
        packed.sort()
        positions = packed & MOST_TOKENS
        pairs = packed >> _POSITION_BITS
        first = np.flatnonzero(np.diff(pairs, prepend=-1))
        return cls(
            placed,
            tokens,
            np.array([file.start for file in placed], np.int32),
            positions.astype(np.int32),
            tokens[positions],
            pairs[first],
            np.append(first, len(pairs)).astype(np.int32),
        )

    @property
    def token_count(self) -> int:
        """Number of tokens, without boundaries."""
        return sum(file.end - file.start for file in self.files)

    @property
    def memory_bytes(self) -> int:
        """Memory that the arrays take."""
        arrays = (self.tokens, self.positions, self.following, self.keys, self.ranges, self.starts)
        return sum(array.nbytes for array in arrays)

    def find_pair(self, first: int, second: int) -> slice:
        """Return the range of :attr:`positions` that follow this pair of tokens; empty for none."""
        key = (first << _TOKEN_BITS) | second
        index = int(self.keys.searchsorted(key))
        if index == len(self.keys) or self.keys[index] != key:
            return slice(0, 0)
        return slice(int(self.ranges[index]), int(self.ranges[index + 1]))

    def find_file(self, path: str) -> CorpusFile | None:
        """Return a file by its path, or None."""
        index = self._by_path.get(path)
        return None if index is None else self.files[index]

    def file_at(self, position: int) -> CorpusFile:
        """Return the file that holds a position."""
        return self.files[int(self.starts.searchsorted(position, side="right")) - 1]

    def line_at(self, position: int, line_breaks: npt.NDArray[np.integer]) -> int:
        """Return the line, counted from 0, that the token at a position stands on.

        Args:
            position: Of a token of a file.
            line_breaks: Number of line breaks in each token of the vocabulary, shape (vocabulary,). Those in
                the token itself count too: the text that matters follows them.
        """
        return int(line_breaks[self.tokens[self.file_at(position).start : position + 1]].sum())


def boundary_of(tokens: StoredTokens) -> int:
    """Return the value that stands between files."""
    return int(np.iinfo(tokens.dtype).max)


def _place(files: Iterable[TokenizedFile], room: int) -> tuple[list[TokenizedFile], tuple[CorpusFile, ...]]:
    """Choose the files that fit, and give each its range of positions."""
    kept: list[TokenizedFile] = []
    placed: list[CorpusFile] = []
    start = LONGEST_MATCH
    for file in files:
        end = start + len(file.tokens)
        if end + 1 > room or file.tokens.size == 0:
            continue
        kept.append(file)
        placed.append(CorpusFile(file.path, file.language, file.modified, start, end))
        start = end + 1
    return kept, tuple(placed)


def _join(files: Sequence[TokenizedFile], placed: Sequence[CorpusFile]) -> StoredTokens:
    """Return the files' tokens at their places, with boundaries everywhere else.

    There are as many boundaries in front as a match is long, so that looking back never leaves the array.
    """
    highest = max((int(file.tokens.max()) for file in files), default=0)
    if highest >> _TOKEN_BITS:
        raise ValueError(f"a token id is at most {(1 << _TOKEN_BITS) - 1}, not {highest}")
    kind = np.uint16 if highest < np.iinfo(np.uint16).max else np.uint32
    size = placed[-1].end + 1 if placed else LONGEST_MATCH + 1
    joined = np.full(size, np.iinfo(kind).max, kind)
    for file, place in zip(files, placed, strict=True):
        joined[place.start : place.end] = file.tokens
    return joined


def _key(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return first << _TOKEN_BITS | second
