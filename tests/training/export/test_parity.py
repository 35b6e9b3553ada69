from __future__ import annotations

import numpy as np
import pytest

from training.export.parity import TOLERANCES, Tolerance, compare, parity_prompts

LOOSE = Tolerance(divergence=1.0, same_top=0.5)


class Letters:
    """A tokenizer whose ids are code points."""

    bos = None

    def encode(self, text: str) -> tuple[int, ...]:
        return tuple(map(ord, text))

    def special(self, text: str) -> int | None:
        return None

    def decode(self, ids: tuple[int, ...]) -> str:
        return "".join(map(chr, ids))


def test_equal_logits_have_no_divergence() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 9)).astype(np.float32)
    parity = compare("a.gguf", [logits[:2], logits[2:]], "b", [logits + 3], LOOSE)
    assert parity.divergence == pytest.approx(0, abs=1e-6)
    assert (parity.same_top, parity.tokens, parity.passed) == (1.0, 5, True)


def test_the_divergence_is_that_from_the_reference() -> None:
    reference, found = np.log([[0.5, 0.5]]), np.log([[0.75, 0.25]])
    parity = compare("a.gguf", [found], "b", [reference], LOOSE)
    assert parity.divergence == pytest.approx(0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25))


@pytest.mark.parametrize(
    "tolerance", [Tolerance(divergence=1e-9, same_top=0.0), Tolerance(divergence=99.0, same_top=0.6)]
)
def test_both_figures_must_be_within_the_tolerance(tolerance: Tolerance) -> None:
    reference, found = np.log([[0.9, 0.1], [0.1, 0.9]]), np.log([[0.9, 0.1], [0.6, 0.4]])
    parity = compare("a.gguf", [found], "b", [reference], tolerance)
    assert parity.same_top == 0.5
    assert not parity.passed


def test_more_bits_have_a_smaller_tolerance() -> None:
    kinds = ("f16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0", "q3_k_m")
    divergences = [TOLERANCES[kind].divergence for kind in kinds]
    assert divergences == sorted(divergences)


def test_prompts_have_holes_if_the_model_has_markers() -> None:
    plain = parity_prompts(Letters(), {}, 0)
    assert parity_prompts(Letters(), {"pre": 1, "suf": 2, "mid": 3}, 0)[: len(plain)] == plain
    holes = parity_prompts(Letters(), {"pre": 1, "suf": 2, "mid": 3}, 0)[len(plain) :]
    for text, hole in zip(plain, holes, strict=True):
        assert hole[:2] == (1, 2)
        assert hole[-1] == 0
        assert sorted(hole) == sorted((*text, 0, 1, 2, 3))
