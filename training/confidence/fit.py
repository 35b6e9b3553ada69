"""Fit the weights of the model: logistic regression by Newton's method, in numpy.

It has twenty weights, so it needs no library: a fit takes milliseconds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fim_lsp.completion.showing.chance import ChanceModel
from fim_lsp.completion.showing.features import in_order
from training.confidence import ConfidenceError
from training.confidence.examples import Example

Floats = npt.NDArray[np.float64]
_PENALTY = 3.0
"""Weight of the squared weights: that of about three examples a feature."""
_STEPS, _SMALL = 100, 1e-9


def fit(examples: Sequence[Example]) -> ChanceModel:
    """Return the model whose estimates make the examples likeliest.

    Raises:
        ConfidenceError: the examples are all right or all wrong, or there are none.
    """
    if len({example.right for example in examples}) < 2:
        raise ConfidenceError("The samples hold no right or no wrong suggestion.", "Collect more of them.")
    names = tuple(examples[0].features)
    values = np.array([in_order(example.features, names) for example in examples])
    right = np.array([float(example.right) for example in examples])
    importance = np.array([example.weight for example in examples])
    means, deviations = values.mean(axis=0), values.std(axis=0)
    deviations[deviations < _SMALL] = 1.0
    scaled = np.column_stack([(values - means) / deviations, np.ones(len(values))])
    weights = _newton(scaled, right, importance)
    return ChanceModel(
        names,
        tuple(means.tolist()),
        tuple(deviations.tolist()),
        tuple(weights[:-1].tolist()),
        float(weights[-1]),
    )


def _newton(scaled: Floats, right: Floats, importance: Floats) -> Floats:
    """Maximise the penalised likelihood; the last column, the bias, is not penalised.

    Args:
        scaled: shape (examples, features + 1).
        right: 1 for right, 0 for wrong, shape (examples,).
        importance: weights of the examples, shape (examples,).
    """
    penalty = np.full(scaled.shape[1], _PENALTY)
    penalty[-1] = 0.0
    weights = np.zeros(scaled.shape[1])
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-(scaled @ weights)))
        gradient = scaled.T @ (importance * (chance - right)) + penalty * weights
        curvature = scaled.T * (importance * chance * (1 - chance)) @ scaled + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        weights -= step
        if np.abs(step).max() < _SMALL:
            break
    return weights


def as_json(model: ChanceModel, samples: int, sources: Sequence[str]) -> str:
    """Return the model as the file that ships with the server, rounded so that a refit has a short diff."""
    values = {
        "samples": samples,
        "sources": sorted(sources),
        "names": list(model.names),
        "means": [round(value, 5) for value in model.means],
        "deviations": [round(value, 5) for value in model.deviations],
        "weights": [round(value, 5) for value in model.weights],
        "bias": round(model.bias, 5),
    }
    return json.dumps(values, indent=1) + "\n"
