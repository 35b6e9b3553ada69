"""The gate: how much the votes of the repository memory count against the model.

At each level (length of match) the share of the votes is a logistic function of a few features. The weights
are fitted by ``python -m training gate`` on code of repositories that the model has not seen, and are stored
in the model's file.
"""

from __future__ import annotations

import json
import math

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from fim_lsp.engine.memory.matches import SHORTEST_MATCH
from fim_lsp.engine.memory.tally import Tally

FEATURES = ("bias", "depth", "matches", "distinct", "confidence", "plausibility", "doubt", "record")
"""Names of the features, in order. Files hold weights by these names: one may be added, not renamed.

``bias``: 1. ``depth``: length of the match, at most 8. ``matches``: logarithm of the number of places that
match so far. ``distinct``: logarithm of the number of tokens that they vote for. ``confidence``: logarithm of
the model's highest probability. ``plausibility``: logarithm of the model's probability for the token with the
most votes. ``doubt``: logarithm of what the model leaves to all but its likeliest token. Each logarithm of a
probability is at least -8, for ``plausibility`` -12. ``record``: how much better than the model the longest
matches foretold the tokens since the cursor, in nats; each counts half as much as the next (:func:`lead`).
"""
_DEEPEST = 8
_LEAST, _LEAST_PLAUSIBLE = -8.0, -12.0
HIGHEST_SCORE = 12.0
"""Bound of what the logistic function is taken of: the model always keeps a part."""
_AGREEMENT = 0.25
"""Power of the model's probability that a vote for a token is multiplied by."""
_LARGEST_LEAD, _LEAST_PART = 6.0, 1e-3
_FARTHEST = -40.0
"""A token counts as no less likely than so many nats below the likeliest one that is voted for."""


@frozen(eq=False)
class ModelView:
    """The part of the model's own distribution that the gate reads."""

    logs: npt.NDArray[np.float64] = field(repr=False)
    """Logarithm of the model's probability for each token that is voted for, shape (tokens,)."""
    highest: float
    """Logarithm of its highest probability."""
    record: float = 0.0
    """How much better the votes have been than it so far; see :data:`FEATURES`."""


@frozen
class Gate:
    """The weights of the features, in the order of :data:`FEATURES`."""

    weights: tuple[float, ...] = (-3.17, -0.03, 0.86, -1.69, -0.77, 0.0, 0.0, 0.14)
    """The default serves models whose file holds none; docs/decisions/024 has what it was measured to do."""

    def shares(self, tally: Tally, model: ModelView) -> npt.NDArray[np.float64]:
        """Return the share of the votes at each level, 0 to 1, shape (levels,)."""
        scores = np.clip(level_features(tally, model) @ self.weights, -HIGHEST_SCORE, HIGHEST_SCORE)
        shares: npt.NDArray[np.float64] = 1 / (1 + np.exp(-scores))
        return shares

    def dump(self) -> str:
        """Return the weights as JSON, as the model's file holds them."""
        return json.dumps(
            {name: round(weight, 5) for name, weight in zip(FEATURES, self.weights, strict=True)}
        )


def load_gate(text: str | None) -> Gate:
    """Return the gate that a model's file holds; the default for none, or for one that is of no use.

    A feature that the text does not name has no weight: the gate was fitted without it.
    """
    try:
        named = json.loads(text or "")
        weights = tuple(float(named.get(name, 0.0)) for name in FEATURES)
        usable = bool(named) and all(map(math.isfinite, weights)) and set(named) <= set(FEATURES)
    except (ValueError, TypeError, AttributeError):
        return Gate()
    return Gate(weights) if usable else Gate()


def level_features(tally: Tally, model: ModelView) -> npt.NDArray[np.float64]:
    """Return the features of each level, shape (levels, features)."""
    levels = len(tally.totals)
    rows = np.empty((levels, len(FEATURES)))
    rows[:, 0] = 1
    rows[:, 1] = np.minimum(np.arange(levels) + SHORTEST_MATCH, _DEEPEST)
    totals = tally.totals.copy()
    totals[0] = tally.matching
    rows[:, 2] = np.log(totals)
    rows[:, 3] = np.log(np.count_nonzero(tally.counts, axis=1))
    rows[:, 4] = max(_LEAST, model.highest)
    rows[:, 5] = np.maximum(_LEAST_PLAUSIBLE, model.logs[tally.counts.argmax(axis=1)])
    rows[:, 7] = model.record
    rows[:, 6] = math.log(max(math.exp(_LEAST), -math.expm1(min(0.0, model.highest))))
    return rows


def lead(part: float, log: float) -> float:
    """Return how much better than the model the longest matches foretold a token, in nats, -6 to 6.

    Args:
        part: The token's part of the votes of the longest matches.
        log: Logarithm of the model's probability for it.
    """
    return min(_LARGEST_LEAD, max(-_LARGEST_LEAD, math.log(max(part, _LEAST_PART)) - log))


def next_record(record: float, leading: float) -> float:
    """Return the record after one more token."""
    return record / 2 + leading


def weigh_votes(tally: Tally, model: ModelView) -> npt.NDArray[np.float64]:
    """Return each token's part of the votes at each level, shape (levels, tokens), 0 to 1.

    A vote counts more for a token that the model finds likely, too.
    """
    likely = np.exp(_AGREEMENT * np.maximum(_FARTHEST, model.logs - model.logs.max()))
    weighed = tally.counts * likely
    parts: npt.NDArray[np.float64] = weighed / weighed.sum(axis=1, keepdims=True)
    return parts
