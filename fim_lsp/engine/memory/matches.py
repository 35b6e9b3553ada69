"""Follow the places of a corpus that match the text of one generation, token by token.

A place matches with a depth: so many tokens before it equal the last ones of the context, 2 to 16. The places
of the last pair are one range of the corpus; a token more keeps those that it follows, one deeper.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from attrs import define, evolve, field, frozen

from fim_lsp.engine.memory.chunks import TokenArray
from fim_lsp.engine.memory.corpus import LONGEST_MATCH, Positions, TokenCorpus, boundary_of
from fim_lsp.engine.memory.request import MemoryPart

SHORTEST_MATCH = 2
LEVELS = LONGEST_MATCH - SHORTEST_MATCH + 1
MOST_VOTERS = 1024
"""Places that vote on a token at most, the deepest and then the nearest: a pair of blanks has a hundred
thousand, which say nothing that a thousand don't."""

Depths = npt.NDArray[np.uint8]


@frozen(eq=False)
class Voters:
    """The places that match now, each with the token that it votes for."""

    tokens: npt.NDArray[np.int64] = field(repr=False)
    """Shape (voters,)."""
    depths: Depths = field(repr=False)
    """Length of each match, shape (voters,)."""
    parts: npt.NDArray[np.intp] = field(repr=False)
    """Index of the part that each place is in, shape (voters,)."""
    positions: npt.NDArray[np.int64] = field(repr=False)
    """Position of each in its part's corpus, shape (voters,)."""
    matching: int
    """Places that match, of which these are all or the deepest."""


@define(eq=False)
class _PartMatches:
    """The places of one corpus that match."""

    corpus: TokenCorpus
    blocked: Positions
    """Ranges of positions that do not vote, shape (ranges, 2)."""
    found: slice = slice(0, 0)
    """The range of the last pair in the corpus's positions."""
    depths: Depths = field(factory=lambda: np.empty(0, np.uint8))
    """Depth of each place in that range; 0 for one that does not vote."""

    def start(self, context: Sequence[int]) -> None:
        """Find the places that match a context of at least two tokens."""
        self._find(context[-2], context[-1])
        places = self.corpus.positions[self.found]
        alive = np.flatnonzero(self.depths)
        for depth in range(SHORTEST_MATCH + 1, min(LONGEST_MATCH, len(context)) + 1):
            if not alive.size:
                return
            alive = alive[self.corpus.tokens[places[alive] - depth] == context[-depth]]
            self.depths[alive] = depth

    def advance(self, last: int, token: int) -> None:
        """Take up a token behind the last one."""
        agreeing = np.flatnonzero((self.corpus.following[self.found] == token) & (self.depths > 0))
        ahead = self.corpus.positions[self.found][agreeing] + 1
        deeper = np.minimum(self.depths[agreeing] + 1, LONGEST_MATCH).astype(np.uint8)
        self._find(last, token)
        places = self.corpus.positions[self.found]
        if places.size and ahead.size:
            # A place at the end of its file has nothing to vote for, and is not in the range.
            indices = np.minimum(places.searchsorted(ahead), len(places) - 1)
            there = places[indices] == ahead
            self.depths[indices[there]] = deeper[there]

    def _find(self, last: int, token: int) -> None:
        self.found = self.corpus.find_pair(last, token)
        self.depths = np.full(self.found.stop - self.found.start, SHORTEST_MATCH, np.uint8)
        if self.blocked.size and self.depths.size:
            bounds = self.corpus.positions[self.found].searchsorted(self.blocked)
            for low, high in bounds[bounds[:, 0] < bounds[:, 1]]:
                self.depths[low:high] = 0


@define(eq=False)
class Matches:
    """The places of several corpora that match one text. Grows with it."""

    parts: tuple[_PartMatches, ...]
    context: tuple[int, ...]
    """The last tokens."""

    @classmethod
    def of(cls, parts: Sequence[MemoryPart], context: Sequence[int]) -> Matches:
        """Find the places that match a context, in tokens; one of a single token matches nothing."""
        matches = cls(
            tuple(_PartMatches(part.corpus, part.blocked) for part in parts),
            tuple(int(token) for token in context[-LONGEST_MATCH:]),
        )
        if len(matches.context) >= SHORTEST_MATCH:
            for part in matches.parts:
                part.start(matches.context)
        return matches

    def copy(self) -> Matches:
        """Return the same matches, which go their own way from here."""
        return evolve(self, parts=tuple(evolve(part) for part in self.parts))

    def advance(self, token: int) -> None:
        """Take up a token behind the text."""
        if self.context:
            for part in self.parts:
                part.advance(self.context[-1], token)
        self.context = (*self.context, token)[-LONGEST_MATCH:]

    def continuation(self, count: int, least_depth: int) -> tuple[int, ...]:
        """Return up to ``count`` tokens behind the longest match; none if it is below ``least_depth``."""
        depth, deepest = max(
            ((int(part.depths.max()), part) for part in self.parts if part.depths.size),
            key=lambda found: found[0],
            default=(0, None),
        )
        if deepest is None or depth < least_depth:
            return ()
        place = int(deepest.corpus.positions[deepest.found][int(deepest.depths.argmax())])
        following = deepest.corpus.tokens[place : place + count].tolist()
        boundary = boundary_of(deepest.corpus.tokens)
        return tuple(following[: following.index(boundary)] if boundary in following else following)

    def voters(self) -> Voters | None:
        """Return the places that vote now; None if there are none."""
        chosen = [
            (index, part, _deepest(part.depths)) for index, part in enumerate(self.parts) if part.depths.size
        ]
        if not any(places.size for _, _, places in chosen):
            return None
        tokens = [part.corpus.following[part.found][places] for _, part, places in chosen]
        return Voters(
            np.concatenate(tokens).astype(np.int64),
            np.concatenate([part.depths[places] for _, part, places in chosen]),
            np.concatenate([np.full(len(places), index) for index, _, places in chosen]),
            np.concatenate([part.corpus.positions[part.found][places] for _, part, places in chosen]).astype(
                np.int64
            ),
            sum(int(np.count_nonzero(part.depths)) for _, part, _ in chosen),
        )


def _deepest(depths: Depths) -> npt.NDArray[np.intp]:
    """Return the indices of the places that vote: all, or the deepest and of the others the first."""
    if len(depths) <= MOST_VOTERS:
        return np.flatnonzero(depths)
    counts = np.bincount(depths, minlength=LONGEST_MATCH + 1)
    counts[0] = 0
    # The smallest depth of which all places vote; of the next smaller one, some do.
    within = np.cumsum(counts[::-1])[::-1] <= MOST_VOTERS
    least = max(1, int(np.argmax(within))) if within.any() else LONGEST_MATCH + 1
    whole = np.flatnonzero(depths >= least)
    some = np.flatnonzero(depths == least - 1)[: MOST_VOTERS - len(whole)] if least > 1 else whole[:0]
    return np.concatenate([whole, some])


def last_tokens(tokens: TokenArray) -> tuple[int, ...]:
    """Return as many last tokens as a match is long."""
    return tuple(tokens[-LONGEST_MATCH:].tolist())
