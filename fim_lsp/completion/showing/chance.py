"""Estimate the chance that a suggestion is kept: a logistic model over its features.

The weights are data of this package, written by ``python -m training confidence fit`` from suggestions at
places whose true text is known. docs/decisions/023-chance-of-being-kept.md has their figures.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

from attrs import field, frozen

from fim_lsp.completion.showing.features import in_order

WEIGHTS = "chance.json"
"""The file of weights, beside this module."""


@frozen
class ChanceModel:
    """A logistic model over features that are scaled to a mean of 0 and a deviation of 1."""

    names: tuple[str, ...]
    means: tuple[float, ...] = field(repr=False)
    deviations: tuple[float, ...] = field(repr=False)
    weights: tuple[float, ...] = field(repr=False)
    bias: float

    def estimate(self, features: Mapping[str, float], shift: float = 0.0) -> float:
        """Return the chance that a text with these features is kept, from 0 to 1.

        Args:
            features: values by name; those without a weight are ignored.
            shift: added to the logarithm of the odds.
        """
        values = in_order(features, self.names)
        odds = self.bias + shift
        for value, mean, deviation, weight in zip(
            values, self.means, self.deviations, self.weights, strict=True
        ):
            odds += weight * (value - mean) / deviation
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, odds))))


@lru_cache(maxsize=1)
def default_model() -> ChanceModel:
    """Return the model that ships with the server."""
    return read_model((files(__package__) / WEIGHTS).read_text(encoding="utf-8"))


def read_model(text: str) -> ChanceModel:
    """Read a file of weights."""
    values = json.loads(text)
    return ChanceModel(
        tuple(values["names"]),
        tuple(values["means"]),
        tuple(values["deviations"]),
        tuple(values["weights"]),
        values["bias"],
    )
