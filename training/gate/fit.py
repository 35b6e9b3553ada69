"""Fit the weights of a gate by maximum likelihood, and check them on repositories left out of the fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from fim_lsp.engine.memory.gate import (
    FEATURES,
    HIGHEST_SCORE,
    Gate,
    ModelView,
    lead,
    level_features,
    next_record,
    weigh_votes,
)
from fim_lsp.engine.memory.matches import LEVELS
from fim_lsp.engine.memory.tally import Tally
from training.gate.collect import HoleSteps, ModelStep, Step

_DECAY = 1e-3
"""Weight of the squares of all weights but the bias's, against the mean of nats a token."""
_ITERATIONS = 200
_DRAWS = 2000
_LEAST = 1e-12

Floats = npt.NDArray[np.float64]
ModelOf = Callable[[Step], ModelStep]
"""Which model's probabilities to take at a step."""
_Row = tuple[Floats, Floats, npt.NDArray[np.bool_], float]
"""Features, shares of the votes, levels that match, and the model's logarithm, of one token."""


@frozen(eq=False)
class GateData:
    """Tokens of true middles, as arrays."""

    features: Floats = field(repr=False)
    """Shape (tokens, levels, features); zeros where no place matches so far."""
    shares: Floats = field(repr=False)
    """Part of the votes for the true token, shape (tokens, levels)."""
    matched: npt.NDArray[np.bool_] = field(repr=False)
    """Levels at which places match, shape (tokens, levels)."""
    logs: Floats = field(repr=False)
    """Logarithm of the model's probability for the true token, shape (tokens,)."""
    holes: npt.NDArray[np.int64] = field(repr=False)
    """Number of the hole, shape (tokens,)."""
    repositories: npt.NDArray[np.str_] = field(repr=False)

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self.logs)

    def part(self, chosen: npt.NDArray[np.bool_]) -> GateData:
        """Return some of the tokens."""
        return GateData(
            self.features[chosen],
            self.shares[chosen],
            self.matched[chosen],
            self.logs[chosen],
            self.holes[chosen],
            self.repositories[chosen],
        )


def make_data(holes: Iterable[HoleSteps], model_of: ModelOf = lambda step: step.model) -> GateData:
    """Compute the features of all tokens, as the engine does, beside the model that ``model_of`` takes."""
    rows = [
        (row, number, hole.repository) for number, hole in enumerate(holes) for row in _rows(hole, model_of)
    ]
    features, shares, matched, logs = zip(*(row for row, _, _ in rows), strict=True)
    return GateData(
        np.array(features),
        np.array(shares),
        np.array(matched),
        np.array(logs),
        np.array([number for _, number, _ in rows]),
        np.array([repository for _, _, repository in rows]),
    )


def _rows(hole: HoleSteps, model_of: ModelOf) -> Iterator[_Row]:
    """Yield the rows of a middle. The record grows from token to token, as it does in the engine."""
    record = 0.0
    for step in hole.steps:
        model = model_of(step)
        features, shares, matched, log = _row(step, model, record)
        yield features, shares, matched, log
        leading = lead(float(shares[matched.sum() - 1]), log) if matched.any() else 0.0
        record = next_record(record, leading)


def _row(step: Step, model: ModelStep, record: float) -> _Row:
    features, shares = np.zeros((LEVELS, len(FEATURES))), np.zeros(LEVELS)
    if step.voters is None:
        return features, shares, np.zeros(LEVELS, np.bool_), model.target
    tally = Tally.of(step.voters)
    view, levels = ModelView(model.voted, model.highest, record), len(tally.totals)
    features[:levels] = level_features(tally, view)
    shares[:levels] = weigh_votes(tally, view)[:, tally.tokens == step.target].sum(axis=1)
    return features, shares, np.arange(LEVELS) < levels, model.target


def fit_gate(samples: Sequence[GateData]) -> Gate:
    """Return the gate with the highest likelihood over all samples, each of which counts the same."""
    import torch

    tensors = [
        tuple(torch.tensor(np.asarray(array, np.float64)) for array in _arrays(data)) for data in samples
    ]
    weights = torch.tensor(Gate().weights, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        total = _DECAY * (weights[1:] ** 2).sum()
        for features, shares, matched, logs in tensors:
            gates = torch.sigmoid(torch.clamp(features @ weights, -HIGHEST_SCORE, HIGHEST_SCORE)) * matched
            p = torch.exp(logs)
            for level in range(LEVELS):
                p = (1 - gates[:, level]) * p + gates[:, level] * shares[:, level]
            total = total - torch.log(p + _LEAST).mean() / len(tensors)
        total.backward()
        return total

    optimiser.step(loss)
    return Gate(tuple(weights.detach().tolist()))


def losses(data: GateData, gate: Gate) -> Floats:
    """Return the nats of each token in the mixture, shape (tokens,)."""
    features, shares, matched, logs = _arrays(data)
    scores = np.clip(features @ np.array(gate.weights), -HIGHEST_SCORE, HIGHEST_SCORE)
    gates = matched / (1 + np.exp(-scores))
    p = np.exp(logs)
    for level in range(LEVELS):
        p = (1 - gates[:, level]) * p + gates[:, level] * shares[:, level]
    return -np.log(p + _LEAST)


def cross_validate(samples: Sequence[GateData]) -> list[Floats]:
    """Return the nats of each token, for each sample, under a gate fitted on the other repositories."""
    results = [np.zeros(len(data)) for data in samples]
    for repository in np.unique(samples[0].repositories):
        others = [data.part(data.repositories != repository) for data in samples]
        gate = fit_gate(others)
        for data, result in zip(samples, results, strict=True):
            own = data.repositories == repository
            result[own] = losses(data.part(own), gate)
    return results


def interval(difference: Floats, holes: npt.NDArray[np.int64], seed: int = 0) -> tuple[float, float, float]:
    """Return the mean of a difference in nats a token, and its 95% interval, drawing holes again."""
    numbers, index = np.unique(holes, return_inverse=True)
    sums = np.bincount(index, difference)
    counts = np.bincount(index)
    drawn = np.random.default_rng(seed).integers(0, len(numbers), (_DRAWS, len(numbers)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(difference.mean()), float(low), float(high)


def _arrays(data: GateData) -> tuple[Floats, Floats, npt.NDArray[np.bool_], Floats]:
    return data.features, data.shares, data.matched, data.logs
