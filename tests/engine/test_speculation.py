"""Drafts change what a generation costs, never its text: on random weights, and on the real model."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from fim_lsp.engine.base import CancelToken
from fim_lsp.engine.llama import LlamaEngine, open_llama
from fim_lsp.types import FinishReason, Generation, Prompt, SamplingParams, StreamedToken
from tests.engine.test_cold_equality import SMALL, TOLERANCE, cold_logits, likeliest_so_far, logits_of
from tests.engine.tiny_model import ALPHABET, write_random_llama

TIE = 0.5
"""Largest difference of a quantised model's logits between batches of different shapes."""
REPEATED = "def first(a, b):\n    return compute(a, b)\n\n\ndef second(a, b):\n    return compute(a, b)\n\n\n"


def generate(engine: LlamaEngine, prompt: Prompt, *, tokens: int = 40, on_token=lambda _: True) -> Generation:
    return engine.generate(prompt, SamplingParams(max_tokens=tokens), CancelToken(), [on_token])[0]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LlamaEngine, LlamaEngine]]:
    path = write_random_llama(tmp_path_factory.mktemp("tiny") / "base.gguf")
    drafting = open_llama(path, evolve(SMALL, speculation="on"))
    plain = open_llama(path, evolve(SMALL, speculation="off"))
    yield drafting, plain
    drafting.close()
    plain.close()


@settings(max_examples=40, deadline=None)
@given(text=st.text(ALPHABET, min_size=1, max_size=60), draft=st.text(ALPHABET, max_size=40))
def test_each_token_is_the_one_that_a_cold_model_samples(tiny, text: str, draft: str):
    drafting, plain = tiny
    drafting.mirror.clear()
    generation = generate(drafting, Prompt((0,), text, draft=draft))
    known = (0, *drafting.tokenizer.encode(text))
    tokens = drafting.tokenizer.encode(generation.text)
    whole = cold_logits(plain, known, ())
    # An end token that is the likeliest of many unlikely ones does not end a generation before any text.
    whole[list(plain.info.end_ids)] = -np.inf
    assert not tokens or whole[tokens[0]] >= whole.max() - TOLERANCE
    assert likeliest_so_far(plain, known, tokens)
    assert len(drafting.mirror.tokens) == len(known) + generation.timings.generated_tokens - 1
    again = generate(drafting, Prompt(tuple(drafting.mirror.tokens), ""), tokens=1)
    assert again.timings.evaluated_tokens <= 1
    evaluated = tuple(drafting.mirror.tokens)
    expected = cold_logits(plain, evaluated, ())
    np.testing.assert_allclose(logits_of(drafting, Prompt(evaluated, "")), expected, atol=TOLERANCE)


def test_every_accepted_token_saves_a_decode(tiny):
    drafting, plain = tiny
    prompt = Prompt((0,), "A = (B)\n" * 6)
    drafting.mirror.clear()
    with_drafts, without = generate(drafting, prompt), generate(plain, prompt)
    assert with_drafts.text == without.text
    assert with_drafts.timings.generated_tokens == without.timings.generated_tokens == 40
    timings = with_drafts.timings
    assert 0 < timings.accepted_tokens <= timings.drafted_tokens
    assert timings.decodes + timings.accepted_tokens == 39
    assert (without.timings.decodes, without.timings.drafted_tokens) == (39, 0)


def test_a_former_suggestion_is_drafted_from(tiny):
    drafting, plain = tiny
    text = "ABCDEF()=."
    former = generate(plain, Prompt((0,), text), tokens=12).text
    drafting.mirror.clear()
    alone = generate(drafting, Prompt((0,), text), tokens=12).timings
    drafting.mirror.clear()
    known = generate(drafting, Prompt((0,), text, draft=text + former), tokens=12)
    assert known.text == former
    assert known.timings.accepted_tokens > alone.accepted_tokens
    assert known.timings.decodes <= 5


@pytest.mark.parametrize("most", range(1, 12))
def test_a_listener_ends_a_generation_within_a_draft(tiny, most):
    drafting, _ = tiny
    prompt = Prompt((0,), "A = (B)\n" * 6)
    tokens: list[StreamedToken] = []
    whole = generate(drafting, prompt, tokens=12).text
    drafting.mirror.clear()
    stopped = generate(drafting, prompt, on_token=lambda token: tokens.append(token) or len(tokens) < most)
    assert stopped.finish_reason is FinishReason.STOPPED
    assert stopped.timings.generated_tokens == len(tokens) == most
    assert whole.startswith(stopped.text)
    known = stopped.timings.evaluated_tokens + stopped.timings.reused_tokens
    assert len(drafting.mirror.tokens) == known + most - 1


@pytest.mark.parametrize("most", range(1, 8))
def test_a_cancel_ends_a_generation_within_a_draft(tiny, most):
    drafting, _ = tiny
    cancel = CancelToken()
    tokens: list[StreamedToken] = []

    def cancel_at_most(token: StreamedToken) -> bool:
        tokens.append(token)
        if len(tokens) == most:
            cancel.cancel()
        return True

    drafting.mirror.clear()
    prompt = Prompt((0,), "A = (B)\n" * 6)
    (cancelled,) = drafting.generate(prompt, SamplingParams(max_tokens=20), cancel, [cancel_at_most])
    assert cancelled.finish_reason is FinishReason.CANCELLED
    assert cancelled.timings.generated_tokens == most


def test_random_samples_are_not_drafted(tiny):
    drafting, _ = tiny
    sampling = SamplingParams(max_tokens=20, temperature=1.0)
    (generation,) = drafting.generate(
        Prompt((0,), "A = (B)\n" * 6), sampling, CancelToken(), [lambda _: True]
    )
    assert generation.timings.drafted_tokens == 0


def test_the_measurement_leaves_nothing_behind_and_is_reported(tmp_path):
    engine = open_llama(write_random_llama(tmp_path / "base.gguf"), SMALL)
    try:
        speculation = engine.info.speculation
        assert speculation.cost_ratio > 0
        assert f"{speculation.cost_ratio:.2f}" in speculation.reason
        assert not any(state.tokens for state in engine.mirror.states)
        assert generate(engine, Prompt((0,), "A"), tokens=2).timings.evaluated_tokens == 2
    finally:
        engine.close()


def test_batches_too_small_for_a_draft_are_not_drafted(tmp_path):
    small = evolve(SMALL, batch_tokens=3, ubatch_tokens=3, speculation="on")
    engine = open_llama(write_random_llama(tmp_path / "base.gguf"), small)
    try:
        assert engine.info.speculation.draft_tokens == 0
        assert "batchTokens" in engine.info.speculation.reason
        assert generate(engine, Prompt((0,), "A = (B)\n" * 3), tokens=9).timings.drafted_tokens == 0
    finally:
        engine.close()


def differs_beyond_a_tie(engine: LlamaEngine, prompt: Prompt, left: str, right: str) -> bool:
    """Return whether two texts differ at a token for which the model had a clear preference."""
    tokens = [engine.tokenizer.encode(text) for text in (left, right)]
    shared = next((index for index, (a, b) in enumerate(zip(*tokens, strict=False)) if a != b), None)
    if shared is None:
        return tokens[0] != tokens[1]
    known = (*prompt.head, *engine.tokenizer.encode(prompt.tail), *tokens[0][:shared])
    logits = cold_logits(engine, known, ())
    return abs(logits[tokens[0][shared]] - logits[tokens[1][shared]]) > TIE


@pytest.mark.model
@pytest.mark.parametrize(
    ("tail", "draft"),
    [
        (REPEATED + "def third(a, b):\n    return", ""),
        ("import os\n\n\ndef names(folder):\n    return sorted(os.", "    return sorted(os.listdir(folder))"),
        ("x = [1, 2, 3]\n" * 5 + "x = ", "nothing alike at all"),
    ],
)
def test_the_real_model_generates_the_same_with_drafts(drafting_engine, llama_engine, tail, draft):
    drafting_engine.mirror.clear()
    llama_engine.mirror.clear()
    prompt = Prompt((), tail, draft=draft)
    drafted, expected = (
        generate(drafting_engine, prompt, tokens=24),
        generate(llama_engine, prompt, tokens=24),
    )
    assert drafted.text == expected.text or not differs_beyond_a_tie(
        llama_engine, prompt, drafted.text, expected.text
    )


@pytest.mark.model
def test_repeated_code_takes_fewer_decodes(drafting_engine):
    drafting_engine.mirror.clear()
    timings = generate(
        drafting_engine, Prompt((), REPEATED + "def third(a, b):\n    return"), tokens=24
    ).timings
    assert timings.accepted_tokens >= 6
    assert timings.decodes + timings.accepted_tokens == timings.generated_tokens - 1


@pytest.mark.model
def test_a_healed_word_comes_before_any_draft(drafting_engine):
    text = "def fib(n):\n    if n < 2:\n        return n\n    retu"
    drafting_engine.mirror.clear()
    generation = generate(
        drafting_engine, Prompt((), text, heal=True, draft="    rejoice and be glad"), tokens=6
    )
    assert generation.text.startswith("rn ")
