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

FEATURES = ("bias", "depth", "matches", "distinct", "confidence")
"""Names of the features, in order. Files hold weights by these names: one may be added, not renamed.

``bias``: 1. ``depth``: length of the match, at most 8. ``matches``: logarithm of the number of places that
match so far. ``distinct``: logarithm of the number of tokens that they vote for. ``confidence``: logarithm of
the model's highest probability, at least -8.
"""
_DEEPEST = 8
_LEAST_CONFIDENCE = -8.0


@frozen(eq=False)
class ModelView:
    """What the gate knows of the model's own distribution."""

    logs: npt.NDArray[np.float64] = field(repr=False)
    """Logarithm of the model's probability for each token that is voted for, shape (tokens,)."""
    highest: float
    """Logarithm of its highest probability."""


@frozen
class Gate:
    """The weights of the features, in the order of :data:`FEATURES`."""

    weights: tuple[float, ...] = (-3.17, -0.03, 0.86, -1.69, -0.77)
    """The default is that of the default model, which is careful: a confident model is hardly changed."""

    def shares(self, tally: Tally, model: ModelView) -> npt.NDArray[np.float64]:
        """Return the share of the votes at each level, 0 to 1, shape (levels,)."""
        shares: npt.NDArray[np.float64] = 1 / (1 + np.exp(-(level_features(tally, model) @ self.weights)))
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
    rows[:, 4] = max(_LEAST_CONFIDENCE, model.highest)
    return rows
