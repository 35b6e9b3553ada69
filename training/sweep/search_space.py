"""The parameters that a search varies: rank, alpha, learning rate and span mix, in bounds around a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs

from training.config import Recipe, SpanMix

if TYPE_CHECKING:
    from optuna import Trial

_RANKS = (8, 16, 32, 64)
_ALPHAS_BY_RANK = (0.5, 1.0, 2.0)
_RATE_DOWN, _RATE_UP = 8.0, 4.0
"""Bounds of the learning rate: the recipe's divided by the first, and multiplied by the second."""
_RECIPE_MIX = "recipe"
"""Name of the recipe's own span mix."""
_MIXES: Mapping[str, SpanMix] = MappingProxyType(
    {
        "nodes": SpanMix(node=0.6, line_rest=0.2, lines=0.1, random=0.05, empty=0.05),
        "line ends": SpanMix(node=0.2, line_rest=0.55, lines=0.1, random=0.1, empty=0.05),
        "random": SpanMix(node=0.2, line_rest=0.2, lines=0.15, random=0.4, empty=0.05),
    }
)


def recipe_of(params: Mapping[str, Any], recipe: Recipe) -> Recipe:
    """Return the recipe with a trial's parameters."""
    rank = int(params["rank"])
    spans = _MIXES.get(params["spans"], recipe.data.spans)
    train = attrs.evolve(
        recipe.train,
        rank=rank,
        alpha=max(1, round(rank * float(params["alpha_by_rank"]))),
        learning_rate=float(params["learning_rate"]),
    )
    return attrs.evolve(recipe, data=attrs.evolve(recipe.data, spans=spans), train=train)


def unchanged(recipe: Recipe) -> dict[str, Any]:
    """Return the parameters that leave the recipe unchanged."""
    settings = recipe.train
    return {
        "rank": settings.rank,
        "alpha_by_rank": settings.alpha / settings.rank,
        "learning_rate": settings.learning_rate,
        "spans": _RECIPE_MIX,
    }


def suggest(trial: Trial, recipe: Recipe) -> dict[str, Any]:
    """Choose a trial's parameters, in bounds around the recipe."""
    own = unchanged(recipe)
    rate = own["learning_rate"]
    return {
        "rank": trial.suggest_categorical("rank", sorted({*_RANKS, own["rank"]})),
        "alpha_by_rank": trial.suggest_categorical(
            "alpha_by_rank", sorted({*_ALPHAS_BY_RANK, own["alpha_by_rank"]})
        ),
        "learning_rate": trial.suggest_float("learning_rate", rate / _RATE_DOWN, rate * _RATE_UP, log=True),
        "spans": trial.suggest_categorical("spans", [_RECIPE_MIX, *_MIXES]),
    }
