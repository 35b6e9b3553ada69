"""Count the votes: for each length of match, what the places vote for that match so far or further."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from fim_lsp.engine.memory.matches import LEVELS, SHORTEST_MATCH, Voters

Counts = npt.NDArray[np.float64]


@frozen(eq=False)
class Tally:
    """The votes on one token. A level stands for a length of match, the shortest first."""

    tokens: npt.NDArray[np.int64] = field(repr=False)
    """The tokens that are voted for, shape (tokens,)."""
    counts: Counts = field(repr=False)
    """Votes for each of them by places that match at least so far, shape (levels, tokens)."""
    totals: Counts = field(repr=False)
    """Votes at each level, shape (levels,); 0 where no place matches so far."""
    matching: int = 0
    """Places that match at the first level, of which these votes may be a part."""

    @classmethod
    def of(cls, voters: Voters) -> Tally:
        """Count the votes of these places."""
        tokens, index = np.unique(voters.tokens, return_inverse=True)
        levels = int(voters.depths.max()) - SHORTEST_MATCH + 1
        cells = (voters.depths.astype(np.int64) - SHORTEST_MATCH) * len(tokens) + index
        exact = np.bincount(cells, minlength=levels * len(tokens)).reshape(levels, len(tokens))
        counts = np.cumsum(exact[::-1], axis=0)[::-1].astype(np.float64)
        return cls(tokens, counts, counts.sum(axis=1), voters.matching)

    def among(self, allowed: npt.NDArray[np.int64]) -> Tally | None:
        """Return the votes for these tokens alone; None if there are none."""
        kept = np.isin(self.tokens, allowed)
        counts = self.counts[:, kept]
        totals = counts.sum(axis=1)
        levels = int(np.count_nonzero(totals))
        if not levels:
            return None
        return Tally(self.tokens[kept], counts[:levels], totals[:levels], int(totals[0]))


__all__ = ["LEVELS", "Tally"]
