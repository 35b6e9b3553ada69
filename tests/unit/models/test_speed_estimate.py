"""The speed of a model that is not here, from one that is."""

from __future__ import annotations

import pytest

from fim_lsp.models.catalog import CATALOG
from fim_lsp.models.speed_estimate import MeasuredSpeed, SpeedEstimate, estimate

MEASURED = MeasuredSpeed(CATALOG["default"], prefill_tokens_per_s=300.0, decode_tokens_per_s=60.0)


def test_a_measured_model_is_estimated_as_measured() -> None:
    assert estimate(CATALOG["default"], MEASURED) == SpeedEstimate(300.0, 60.0)


@pytest.mark.parametrize(
    ("name", "prefill", "decode"),
    [("qwen2.5-coder-0.5b", 83, 16), ("qwen2.5-coder-1.5b", 26, 5.3), ("qwen2.5-coder-7b", 5.3, 1.07)],
)
def test_a_larger_model_is_slower_by_its_parameters_and_its_bytes(
    name: str, prefill: float, decode: float
) -> None:
    found = estimate(CATALOG[name], MEASURED)
    assert found.prefill_tokens_per_s == pytest.approx(prefill, rel=0.03)
    assert found.decode_tokens_per_s == pytest.approx(decode, rel=0.03)


def test_of_a_mixture_of_experts_the_active_part_counts() -> None:
    mixture, dense = (estimate(CATALOG[name], MEASURED) for name in ("qwen3-coder-30b", "qwen2.5-coder-7b"))
    assert mixture.decode_tokens_per_s > dense.decode_tokens_per_s
    assert mixture.prefill_tokens_per_s > dense.prefill_tokens_per_s


@pytest.mark.parametrize(("prefill", "ms"), [(300.0, 400), (10.0, 6400), (100_000.0, 10.24)])
def test_a_new_place_costs_the_short_prompt(prefill: float, ms: float) -> None:
    found = SpeedEstimate(prefill, 50.0)
    assert found.first_prompt_ms(400.0, 64, 1024) == pytest.approx(ms)
    assert found.key_ms == 20.0
