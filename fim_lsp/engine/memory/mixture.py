"""Join the model's distribution and the votes: interpolation from the shortest match to the longest.

Beginning with the model's p, each level gives ``p <- (1 - share) p + share * votes / all votes`` (after
Jelinek and Mercer, 1980). All levels together keep a part of p, and add to the few tokens that are voted for,
so the result is the row of logits with those few raised.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from fim_lsp.engine.memory.gate import Gate, ModelView, lead, weigh_votes
from fim_lsp.engine.memory.tally import Tally

LogitRow = npt.NDArray[np.float32]
_LEAST = 1e-300
"""Stands for a probability of 0 where its logarithm is taken."""
_BLOCK = 8192
"""Logits that are exponentiated at once; see :mod:`fim_lsp.engine.sampling`."""


@frozen(eq=False)
class MixedRow:
    """A row of logits whose softmax is the mixture."""

    logits: LogitRow = field(repr=False)
    """Shape (vocabulary,)."""
    log_total: float | None = None
    """Logarithm of the sum of all exponentiated logits, where it is known without another pass."""
    model_total: float = 0.0
    """That of the model's own row, among the allowed ids."""
    tokens: npt.NDArray[np.int64] | None = field(default=None, repr=False)
    """The tokens that are voted for, ascending; None if nothing votes."""
    own: npt.NDArray[np.float64] | None = field(default=None, repr=False)
    """Logarithm of the model's probability for each."""
    foretold: npt.NDArray[np.float64] | None = field(default=None, repr=False)
    """Each one's part of the votes of the longest matches."""

    def lead(self, token: int) -> float:
        """Return how much better than the model the longest matches foretold a token; 0 if nothing votes."""
        if self.tokens is None or self.own is None or self.foretold is None:
            return 0.0
        index = int(self.tokens.searchsorted(token))
        if index < len(self.tokens) and self.tokens[index] == token:
            return lead(float(self.foretold[index]), float(self.own[index]))
        return lead(0.0, float(self.logits[token]) - self.model_total)


def mix(
    logits: LogitRow,
    tally: Tally,
    gate: Gate,
    allowed: npt.NDArray[np.int64] | None = None,
    record: float = 0.0,
) -> MixedRow:
    """Return the mixture of the model's distribution and the votes.

    Args:
        logits: The model's row, shape (vocabulary,). It is not changed.
        tally: The votes.
        gate: Weighs them.
        allowed: Ids to choose among; None for all. The mixture is that of the distributions among these, and
            their probability together stays what it is. How sure the model is counts over all ids.
        record: How much better the votes have been than the model so far.
    """
    if allowed is not None:
        among = tally.among(allowed)
        if among is None:
            return MixedRow(logits)
        tally = among
    considered: LogitRow = logits if allowed is None else logits[allowed]
    peak = float(considered.max())
    total = peak + float(np.log(_mass(considered, peak)))
    own = logits[tally.tokens].astype(np.float64) - total
    model = ModelView(own, peak - total, record)
    if allowed is not None:
        # Shorter tokens, which also spell the word, make the model look sure among the allowed ones.
        whole_peak = float(logits.max())
        whole = whole_peak + float(np.log(_mass(logits, whole_peak)))
        model = ModelView(own + (total - whole), whole_peak - whole, record)
    votes = weigh_votes(tally, model)
    kept, added = interpolate(votes, gate.shares(tally, model))
    mixed: LogitRow = logits.copy()
    if allowed is None:
        # The softmax divides by the sum, so only what changes against the kept part is written.
        mixed[tally.tokens] = total + np.logaddexp(own, np.log(np.maximum(added, _LEAST)) - np.log(kept))
        return MixedRow(mixed, total - float(np.log(kept)), total, tally.tokens, own, votes[-1])
    mixed[allowed] += np.float32(np.log(kept))
    mixed[tally.tokens] = total + np.log(np.maximum(kept * np.exp(own) + added, _LEAST))
    return MixedRow(mixed, None, total, tally.tokens, own, votes[-1])


def interpolate(
    votes: npt.NDArray[np.float64], shares: npt.NDArray[np.float64]
) -> tuple[float, npt.NDArray[np.float64]]:
    """Return the part of the model's distribution that is kept, and what each voted token gets besides.

    Args:
        votes: Each token's part of the votes at each level, shape (levels, tokens).
        shares: Share of each level, shape (levels,).
    """
    # What a level adds is multiplied by what each longer one keeps.
    kept_behind = np.append(np.cumprod((1 - shares)[::-1])[::-1], 1.0)
    return float(kept_behind[0]), (shares * kept_behind[1:]) @ votes


def _mass(logits: LogitRow, peak: float) -> float:
    starts = range(0, len(logits), _BLOCK)
    return sum(float(np.exp(logits[start : start + _BLOCK] - np.float32(peak)).sum()) for start in starts)
