"""Drafts change what an answer costs, never what it says: shown on random weights, and on the real model."""

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
"""Logits of a quantised model differ by so much with the shape of a batch."""
REPEATED = "def first(a, b):\n    return compute(a, b)\n\n\ndef second(a, b):\n    return compute(a, b)\n\n\n"


def ask(engine: LlamaEngine, prompt: Prompt, *, tokens: int = 40, on_token=lambda _: True) -> Generation:
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
def test_each_token_is_the_one_that_a_cold_model_says(tiny, text: str, draft: str):
    drafting, plain = tiny
    drafting.mirror.clear()
    said = ask(drafting, Prompt((0,), text, draft=draft))
    known = (0, *drafting.tokenizer.encode(text))
    tokens = drafting.tokenizer.encode(said.text)
    whole = cold_logits(plain, known, ())
    # An answer is not empty for an end that is the likeliest of many unlikely beginnings.
    whole[list(plain.info.end_ids)] = -np.inf
    assert not tokens or whole[tokens[0]] >= whole.max() - TOLERANCE
    assert likeliest_so_far(plain, known, tokens)
    assert len(drafting.mirror.tokens) == len(known) + said.timings.generated_tokens - 1
    again = ask(drafting, Prompt(tuple(drafting.mirror.tokens), ""), tokens=1)
    assert again.timings.evaluated_tokens == 1
    evaluated = tuple(drafting.mirror.tokens)
    expected = cold_logits(plain, evaluated, ())
    np.testing.assert_allclose(logits_of(drafting, Prompt(evaluated, "")), expected, atol=TOLERANCE)


def test_every_accepted_token_saves_a_decode(tiny):
    drafting, plain = tiny
    prompt = Prompt((0,), "A = (B)\n" * 6)
    drafting.mirror.clear()
    with_drafts, without = ask(drafting, prompt), ask(plain, prompt)
    assert with_drafts.text == without.text
    assert with_drafts.timings.generated_tokens == without.timings.generated_tokens == 40
    timings = with_drafts.timings
    assert 0 < timings.accepted_tokens <= timings.drafted_tokens
    assert timings.decodes + timings.accepted_tokens == 39
    assert (without.timings.decodes, without.timings.drafted_tokens) == (39, 0)


def test_an_answer_that_was_said_before_is_drafted_from_it(tiny):
    drafting, plain = tiny
    text = "ABCDEF()=."
    said = ask(plain, Prompt((0,), text), tokens=12).text
    drafting.mirror.clear()
    alone = ask(drafting, Prompt((0,), text), tokens=12).timings
    drafting.mirror.clear()
    known = ask(drafting, Prompt((0,), text, draft=text + said), tokens=12)
    assert known.text == said
    assert known.timings.accepted_tokens > alone.accepted_tokens
    assert known.timings.decodes <= 5


@pytest.mark.parametrize("most", range(1, 12))
def test_a_listener_ends_the_answer_in_the_middle_of_a_draft(tiny, most):
    drafting, _ = tiny
    prompt = Prompt((0,), "A = (B)\n" * 6)
    heard: list[StreamedToken] = []
    whole = ask(drafting, prompt, tokens=12).text
    drafting.mirror.clear()
    said = ask(drafting, prompt, on_token=lambda piece: heard.append(piece) or len(heard) < most)
    assert said.finish_reason is FinishReason.STOPPED
    assert said.timings.generated_tokens == len(heard) == most
    assert whole.startswith(said.text)
    known = said.timings.evaluated_tokens + said.timings.reused_tokens
    assert len(drafting.mirror.tokens) == known + most - 1


@pytest.mark.parametrize("most", range(1, 8))
def test_a_cancel_ends_it_too(tiny, most):
    drafting, _ = tiny
    cancel = CancelToken()
    heard: list[StreamedToken] = []

    def listen(piece: StreamedToken) -> bool:
        heard.append(piece)
        if len(heard) == most:
            cancel.cancel()
        return True

    drafting.mirror.clear()
    prompt = Prompt((0,), "A = (B)\n" * 6)
    (said,) = drafting.generate(prompt, SamplingParams(max_tokens=20), cancel, [listen])
    assert said.finish_reason is FinishReason.CANCELLED
    assert said.timings.generated_tokens == most


def test_what_is_drawn_is_not_drafted(tiny):
    drafting, _ = tiny
    sampling = SamplingParams(max_tokens=20, temperature=1.0)
    (said,) = drafting.generate(Prompt((0,), "A = (B)\n" * 6), sampling, CancelToken(), [lambda _: True])
    assert said.timings.drafted_tokens == 0


def test_the_measurement_leaves_nothing_behind_and_says_what_it_found(tmp_path):
    engine = open_llama(write_random_llama(tmp_path / "base.gguf"), SMALL)
    try:
        decided = engine.info.speculation
        assert decided.cost_ratio > 0
        assert f"{decided.cost_ratio:.2f}" in decided.reason
        assert not any(state.tokens for state in engine.mirror.states)
        assert ask(engine, Prompt((0,), "A"), tokens=2).timings.evaluated_tokens == 2
    finally:
        engine.close()


def test_batches_too_small_for_a_draft_are_not_drafted(tmp_path):
    small = evolve(SMALL, batch_tokens=3, ubatch_tokens=3, speculation="on")
    engine = open_llama(write_random_llama(tmp_path / "base.gguf"), small)
    try:
        assert engine.info.speculation.draft_tokens == 0
        assert "batchTokens" in engine.info.speculation.reason
        assert ask(engine, Prompt((0,), "A = (B)\n" * 3), tokens=9).timings.drafted_tokens == 0
    finally:
        engine.close()


def differs_beyond_a_tie(engine: LlamaEngine, prompt: Prompt, left: str, right: str) -> bool:
    """Whether two answers part where the model was sure."""
    tokens = [engine.tokenizer.encode(text) for text in (left, right)]
    shared = next((at for at, (a, b) in enumerate(zip(*tokens, strict=False)) if a != b), None)
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
        ("x = [1, 2, 3]\n" * 5 + "x = ", "nothing of the kind at all"),
    ],
)
def test_the_real_model_says_the_same_with_drafts(drafting_engine, llama_engine, tail, draft):
    drafting_engine.mirror.clear()
    llama_engine.mirror.clear()
    prompt = Prompt((), tail, draft=draft)
    said, expected = ask(drafting_engine, prompt, tokens=24), ask(llama_engine, prompt, tokens=24)
    assert said.text == expected.text or not differs_beyond_a_tie(
        llama_engine, prompt, said.text, expected.text
    )


@pytest.mark.model
def test_repeated_code_takes_fewer_decodes(drafting_engine):
    drafting_engine.mirror.clear()
    timings = ask(drafting_engine, Prompt((), REPEATED + "def third(a, b):\n    return"), tokens=24).timings
    assert timings.accepted_tokens >= 6
    assert timings.decodes + timings.accepted_tokens == timings.generated_tokens - 1


@pytest.mark.model
def test_a_healed_word_comes_before_any_draft(drafting_engine):
    text = "def fib(n):\n    if n < 2:\n        return n\n    retu"
    drafting_engine.mirror.clear()
    said = ask(drafting_engine, Prompt((), text, heal=True, draft="    rejoice and be glad"), tokens=6)
    assert said.text.startswith("rn ")
