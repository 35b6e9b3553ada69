"""The mixture of the model's distribution and the votes, and the gate between them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fim_lsp.engine.memory.gate import FEATURES, Gate, ModelView, load_gate
from fim_lsp.engine.memory.matches import Voters
from fim_lsp.engine.memory.mixture import mix
from fim_lsp.engine.memory.tally import Tally

VOCABULARY = 12
LOGITS = st.lists(st.floats(-20, 20, width=32), min_size=VOCABULARY, max_size=VOCABULARY)
VOTES = st.lists(st.tuples(st.integers(0, VOCABULARY - 1), st.integers(2, 16)), min_size=1, max_size=40)
WEIGHTS = st.lists(st.floats(-3, 3), min_size=len(FEATURES), max_size=len(FEATURES))


def _tally(votes: list[tuple[int, int]]) -> Tally:
    tokens, depths = zip(*votes, strict=True)
    where = np.zeros(len(votes), np.int64)
    return Tally.of(Voters(np.array(tokens), np.array(depths, np.uint8), where, where, len(votes)))


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max())
    return powers / powers.sum()


def _interpolated(logits: list[float], votes: list[tuple[int, int]], gate: Gate) -> np.ndarray:
    """Interpolate level by level, as the definition says."""
    p = _softmax(np.array(logits))
    own = np.log(p[sorted({token for token, _ in votes})])
    shares = gate.shares(_tally(votes), ModelView(own, float(np.log(p.max()))))
    likely = p**0.25
    for level, share in enumerate(shares):
        agreeing = [token for token, depth in votes if depth >= level + 2]
        weighed = np.bincount(agreeing, minlength=VOCABULARY) * likely
        p = (1 - share) * p + share * weighed / weighed.sum()
    return p


@settings(deadline=None)
@given(LOGITS, VOTES, WEIGHTS)
def test_the_mixture_is_the_interpolation_and_sums_to_one(logits, votes, weights):
    gate = Gate(tuple(weights))
    row = mix(np.array(logits, np.float32), _tally(votes), gate)
    mixed = _softmax(row.logits)
    expected = _interpolated(logits, votes, gate)
    assert expected.sum() == pytest.approx(1)
    np.testing.assert_allclose(mixed, expected, atol=1e-4)
    # Logits are float32: a hundred nats have 1e-5 of them left.
    np.testing.assert_allclose(np.exp(row.logits - row.log_total), expected, atol=1e-4)


@settings(deadline=None)
@given(LOGITS, VOTES, WEIGHTS, st.sets(st.integers(0, VOCABULARY - 1), min_size=1))
def test_among_allowed_ids_their_mass_stays_and_the_others_are_unchanged(logits, votes, weights, allowed):
    row, ids = np.array(logits, np.float32), np.array(sorted(allowed))
    mixed = _softmax(mix(row, _tally(votes), Gate(tuple(weights)), ids).logits)
    before = _softmax(row)
    others = np.setdiff1d(np.arange(VOCABULARY), ids)
    np.testing.assert_allclose(mixed[others], before[others], atol=1e-4)
    assert mixed[ids].sum() == pytest.approx(before[ids].sum(), abs=1e-4)
    conditional = [vote for vote in votes if vote[0] in allowed]
    if conditional:
        among = before[ids] / before[ids].sum()
        own = np.log(before[sorted({token for token, _ in conditional})])
        model = ModelView(own, float(np.log(before.max())))
        for level, share in enumerate(Gate(tuple(weights)).shares(_tally(conditional), model)):
            agreeing = [token for token, depth in conditional if depth >= level + 2]
            weighed = np.bincount(agreeing, minlength=VOCABULARY)[ids] * before[ids] ** 0.25
            among = (1 - share) * among + share * weighed / weighed.sum()
        np.testing.assert_allclose(mixed[ids] / mixed[ids].sum(), among, atol=1e-3)


def test_the_models_row_is_not_changed():
    row = np.arange(VOCABULARY, dtype=np.float32)
    mix(row, _tally([(1, 2)]), Gate((20, *(0,) * (len(FEATURES) - 1))))
    assert row.tolist() == list(range(VOCABULARY))


def test_the_surer_the_model_the_less_the_votes_count():
    tally = _tally([(1, 5)] * 4)
    shares = [Gate().shares(tally, ModelView(np.zeros(1), float(np.log(p))))[-1] for p in (0.05, 0.5, 0.99)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 2 * shares[-1]


def test_votes_that_foretold_better_than_the_model_count_more_from_then_on():
    tally, row = _tally([(1, 5)] * 4), np.zeros(VOCABULARY, np.float32)
    before = mix(row, tally, Gate())
    right, wrong = (mix(row, tally, Gate(), record=before.lead(token)) for token in (1, 2))
    assert before.lead(1) > 0 > before.lead(2)
    assert _softmax(right.logits)[1] > _softmax(before.logits)[1] > _softmax(wrong.logits)[1]


def test_a_gate_is_read_back_as_it_was_written():
    gate = Gate(tuple(float(weight) for weight in range(len(FEATURES))))
    assert load_gate(gate.dump()) == gate


@pytest.mark.parametrize(
    "text",
    [None, "", "{", "[1]", '{"bias": "x"}', '{"bias": 1e999}', '{"bias": 1, "unheard of": 2}', "{}", "3"],
)
def test_a_gate_that_is_of_no_use_is_the_default(text):
    assert load_gate(text) == Gate()


def test_a_feature_that_a_file_does_not_name_has_no_weight():
    assert load_gate(json.dumps({"bias": -1.0})).weights[1:] == (0.0,) * (len(FEATURES) - 1)
