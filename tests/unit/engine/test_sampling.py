from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fim_lsp.engine.sampling import likeliest, sample
from fim_lsp.types import SamplingParams

LOGITS = np.array([0.0, 2.0, 1.0, -3.0], dtype=np.float32)
RNG = np.random.default_rng(0)


def test_greedy_takes_the_largest_and_returns_its_probability():
    token, probability = sample(LOGITS, SamplingParams(), RNG)
    assert token == 1
    assert probability == pytest.approx(float(np.exp(2) / np.exp(LOGITS).sum()), rel=1e-5)


def test_only_allowed_tokens_are_taken():
    token, probability = sample(LOGITS, SamplingParams(), RNG, np.array([0, 3]))
    assert token == 0
    assert probability == pytest.approx(float(1 / np.exp(LOGITS).sum()), rel=1e-5)


def test_top_k_of_one_is_greedy_at_any_temperature():
    params = SamplingParams(temperature=2.0, top_k=1)
    assert {sample(LOGITS, params, RNG)[0] for _ in range(20)} == {1}


def test_a_small_top_p_keeps_the_likeliest():
    params = SamplingParams(temperature=1.0, top_k=0, top_p=0.1)
    assert {sample(LOGITS, params, RNG)[0] for _ in range(20)} == {1}


def test_top_p_of_one_can_draw_every_token():
    params = SamplingParams(temperature=5.0, top_k=0, top_p=1.0)
    rng = np.random.default_rng(1)
    assert {sample(LOGITS, params, rng)[0] for _ in range(400)} == {0, 1, 2, 3}


@given(
    values=st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=30, unique=True),
    count=st.integers(1, 40),
)
def test_the_likeliest_come_in_their_order(values: list[float], count: int):
    logits = np.array(values, np.float32)
    ranked = sorted(range(len(values)), key=lambda token: -values[token])
    assert list(likeliest(logits, count)) == ranked[:count]
    some = np.arange(0, len(values), 2)
    assert list(likeliest(logits, count, some)) == [token for token in ranked if token % 2 == 0][:count]
