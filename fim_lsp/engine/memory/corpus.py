"""Tokens of many files, and an index of where each pair of tokens stands.

The index is one sort: a pair of tokens and the position behind it fit into one integer of 64 bits. A range of
the sorted integers is found by binary search, and longer matches are a filter on it (:mod:`.matches`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import compress
from typing import Any

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
Kept = npt.NDArray[np.bool_]
"""Marks of files or positions."""
StoredTokens = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]
"""Tokens in the smallest type that holds them; its highest value is the boundary between files."""


@frozen(eq=False)
class TokenizedFile:
    """One version of a file."""

    path: str
    """The file's real path, as ``Path.as_posix()`` writes it."""
    tokens: TokenArray = field(repr=False)
    first_line: int = 0
    """The line that the tokens begin with, counted from 0: of a file that is cut into pieces."""


@frozen(eq=False)
class CorpusFile:
    """The place of a file, or of a piece of one, in a corpus."""

    path: str
    start: int
    """Position of the first token."""
    end: int
    """Position behind the last token."""
    first_line: int
    """The line that it begins with, counted from 0."""


@frozen(eq=False)
class TokenCorpus:
    """The tokens of files and an index of their pairs. Immutable, so any thread may read it.

    It has no object for each file: the garbage collector would go through thousands of them, and holds all
    threads meanwhile.
    """

    paths: tuple[str, ...] = field(repr=False)
    """Of the files, in the order of their positions. The pieces of one file stand behind each other."""
    tokens: StoredTokens = field(repr=False)
    """Shape (tokens and boundaries,): all files, with boundaries before, between and behind them."""
    starts: Positions = field(repr=False)
    """Position of each file's first token, shape (files,), ascending."""
    lengths: Positions = field(repr=False)
    """Number of tokens of each file, shape (files,)."""
    first_lines: Positions = field(repr=False)
    """The line that each file begins with, counted from 0, shape (files,)."""
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
        last = len(self.paths) - 1
        # Of a file in pieces the first one stays.
        return {path: last - index for index, path in enumerate(reversed(self.paths))}

    @classmethod
    def build(cls, files: Iterable[TokenizedFile], max_tokens: int = DEFAULT_MAX_TOKENS) -> TokenCorpus:
        """Index files, about 0.1 s for a million tokens.

        Args:
            files: The nearest first; those that do not fit any more are left out.
            max_tokens: Room for tokens and boundaries, at most :data:`MOST_TOKENS`.
        """
        kept = _choose(files, min(max_tokens, MOST_TOKENS))
        lengths = np.array([len(file.tokens) for file in kept], np.int32)
        highest = max((int(file.tokens.max()) for file in kept), default=0)
        if highest >> _TOKEN_BITS:
            raise ValueError(f"a token id is at most {(1 << _TOKEN_BITS) - 1}, not {highest}")
        kind = np.uint16 if highest < np.iinfo(np.uint16).max else np.uint32
        tokens = _empty(lengths, kind)
        for file, start in zip(kept, _starts(lengths).tolist(), strict=True):
            tokens[start : start + len(file.tokens)] = file.tokens
        first_lines = np.array([file.first_line for file in kept], np.int32)
        return cls._index(tuple(file.path for file in kept), lengths, first_lines, tokens)

    @classmethod
    def join(cls, corpora: Sequence[tuple[TokenCorpus, Kept]]) -> TokenCorpus:
        """Index some of the files of several corpora.

        Args:
            corpora: Each with what is kept of it; see :meth:`kept`.

        Raises:
            ValueError: they hold more than :data:`MOST_TOKENS`.
        """
        paths = tuple(path for corpus, kept in corpora for path in compress(corpus.paths, kept.tolist()))
        lengths = np.concatenate([corpus.lengths[kept] for corpus, kept in corpora])
        if _size(lengths) > MOST_TOKENS:
            raise ValueError(f"a corpus holds at most {MOST_TOKENS} tokens, not {_size(lengths)}")
        widest = max(corpora, key=lambda each: each[0].tokens.itemsize)[0].tokens.dtype.type
        tokens = _empty(lengths, widest)
        tokens[tokens_of(lengths)] = np.concatenate([corpus.tokens_of(kept) for corpus, kept in corpora])
        first_lines = np.concatenate([corpus.first_lines[kept] for corpus, kept in corpora])
        return cls._index(paths, lengths, first_lines, tokens)

    @classmethod
    def _index(
        cls, paths: tuple[str, ...], lengths: Positions, first_lines: Positions, tokens: StoredTokens
    ) -> TokenCorpus:
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
            paths,
            tokens,
            _starts(lengths),
            lengths,
            first_lines,
            positions.astype(np.int32),
            tokens[positions],
            pairs[first],
            np.append(first, len(pairs)).astype(np.int32),
        )

    @property
    def files(self) -> tuple[CorpusFile, ...]:
        """The files, in the order of their positions."""
        return tuple(map(self._file, range(len(self.paths))))

    @property
    def token_count(self) -> int:
        """Number of tokens, without boundaries."""
        return int(self.lengths.sum())

    @property
    def memory_bytes(self) -> int:
        """Memory that the arrays take."""
        arrays = (
            self.tokens,
            self.positions,
            self.following,
            self.keys,
            self.ranges,
            self.starts,
            self.lengths,
            self.first_lines,
        )
        return sum(array.nbytes for array in arrays)

    def find_pair(self, first: int, second: int) -> slice:
        """Return the range of :attr:`positions` that follow this pair of tokens; empty for none."""
        key = (first << _TOKEN_BITS) | second
        index = int(self.keys.searchsorted(key))
        if index == len(self.keys) or self.keys[index] != key:
            return slice(0, 0)
        return slice(int(self.ranges[index]), int(self.ranges[index + 1]))

    def holds(self, path: str) -> bool:
        """Tell whether a file is in the corpus, by its path."""
        return path in self._by_path

    def ranges_of(self, paths: Iterable[str]) -> Positions:
        """Return where files begin and end, in all their pieces, shape (pieces, 2); none for others."""
        indices = [index for path in paths for index in self._indices_of(path)]
        starts = self.starts[indices]
        return np.stack([starts, starts + self.lengths[indices]], axis=1).astype(np.int32)

    def find_file(self, path: str) -> CorpusFile | None:
        """Return a file by its path, or None; of one that is cut into pieces the first."""
        return next(iter(self.find_pieces(path)), None)

    def find_pieces(self, path: str) -> tuple[CorpusFile, ...]:
        """Return a file by its path, in all its pieces; none if it is not there."""
        return tuple(map(self._file, self._indices_of(path)))

    def file_at(self, position: int) -> CorpusFile:
        """Return the file that holds a position."""
        return self._file(self.index_at(position))

    def index_at(self, position: int) -> int:
        """Return the index of the file that holds a position."""
        return int(self.starts.searchsorted(position, side="right")) - 1

    def kept(self, without: Collection[str]) -> Kept:
        """Mark the files that are left without some, by their paths, shape (files,)."""
        marks = np.ones(len(self.paths), np.bool_)
        marks[[index for path in without for index in self._indices_of(path)]] = False
        return marks

    def tokens_of(self, kept: Kept) -> StoredTokens:
        """Return the tokens of marked files, one behind the other without boundaries."""
        return self.tokens[tokens_of(self.lengths)][np.repeat(kept, self.lengths)]

    def _file(self, index: int) -> CorpusFile:
        start = int(self.starts[index])
        end = start + int(self.lengths[index])
        return CorpusFile(self.paths[index], start, end, int(self.first_lines[index]))

    def _indices_of(self, path: str) -> range:
        first = end = self._by_path.get(path, len(self.paths))
        if first == len(self.paths):
            return range(0)
        while end < len(self.paths) and self.paths[end] == path:
            end += 1
        return range(first, end)

    def line_at(self, position: int, line_breaks: npt.NDArray[np.integer]) -> int:
        """Return the line of its file, counted from 0, that the token at a position stands on.

        Args:
            position: Of a token of a file.
            line_breaks: Number of line breaks in each token of the vocabulary, shape (vocabulary,). Those in
                the token itself count too: the text that matters follows them.
        """
        file = self.file_at(position)
        return file.first_line + int(line_breaks[self.tokens[file.start : position + 1]].sum())


def boundary_of(tokens: StoredTokens) -> int:
    """Return the value that stands between files."""
    return int(np.iinfo(tokens.dtype).max)


def tokens_of(lengths: Positions) -> Kept:
    """Mark the positions of a corpus that hold tokens and no boundaries, shape (tokens and boundaries,)."""
    marks = np.ones(_size(lengths), np.bool_)
    marks[:LONGEST_MATCH] = False
    marks[_starts(lengths) + lengths] = False
    marks[-1] = False
    return marks


def _choose(files: Iterable[TokenizedFile], room: int) -> list[TokenizedFile]:
    """Return the files that fit, in their order."""
    kept: list[TokenizedFile] = []
    end = LONGEST_MATCH
    for file in files:
        if file.tokens.size and end + len(file.tokens) + 1 <= room:
            kept.append(file)
            end += len(file.tokens) + 1
    return kept


def _starts(lengths: Positions) -> Positions:
    """Return the position of each file's first token.

    There are as many boundaries in front as a match is long, so that looking back never leaves the array.
    """
    return (LONGEST_MATCH + np.cumsum(lengths + 1) - (lengths + 1)).astype(np.int32)


def _size(lengths: Positions) -> int:
    """Return the number of tokens and boundaries of a corpus."""
    return LONGEST_MATCH + max(1, int(lengths.sum()) + len(lengths))


def _empty(lengths: Positions, kind: type[np.unsignedinteger[Any]]) -> StoredTokens:
    """Return room for the tokens of files, full of boundaries."""
    tokens: StoredTokens = np.full(_size(lengths), np.iinfo(kind).max, kind)
    return tokens


def _key(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return first << _TOKEN_BITS | second
