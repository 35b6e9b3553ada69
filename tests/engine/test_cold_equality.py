"""Whatever happened before, logits from the cache equal those of a cold evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import pytest
from attrs import evolve, frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fim_lsp.engine.base import CancelToken
from fim_lsp.engine.llama import LlamaEngine, open_llama
from fim_lsp.settings import ModelSettings
from fim_lsp.types import AppliedAdapter, FinishReason, Prompt, SamplingParams
from tests.engine.tiny_model import ALPHABET, write_random_llama
from tests.lora_file import write_lora

TOLERANCE = 1e-2
"""Sums in another order differ by up to 0.002, as the adapters are float16; wrong tokens, by far more."""
SMALL = ModelSettings(
    context_tokens=256,
    batch_tokens=16,
    ubatch_tokens=8,
    threads=1,
    sequences=3,
    kv_type_k="f32",
    kv_type_v="f32",
)


@frozen
class Step:
    """One request: an edit of a document, what to generate, and perhaps an abort."""

    document: int
    cut: int
    """Characters to delete at the end."""
    typed: str
    suffix: str
    adapters: int
    background: bool
    tokens: int
    candidates: int
    abort_after: int | None
    """Nodes of the graph after which the abort callback fires; None for never."""


_text = st.text(ALPHABET, max_size=24)
_steps = st.lists(
    st.builds(
        Step,
        document=st.integers(0, 3),
        cut=st.integers(0, 30),
        typed=_text,
        suffix=st.sampled_from(["", "", "A", "(B)\n" * 10]),
        adapters=st.sampled_from([0, 0, 0, 1, 2]),
        background=st.booleans(),
        tokens=st.integers(1, 6),
        candidates=st.sampled_from([1, 1, 2, 3]),
        abort_after=st.one_of(st.none(), st.none(), st.integers(0, 400)),
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    folder = tmp_path_factory.mktemp("tiny")
    base = write_random_llama(folder / "base.gguf")
    return base, [write_lora(folder / f"{seed}.gguf", base, seed=seed) for seed in range(2)]


@pytest.fixture(scope="module", params=["in memory", "saved"])
def engines(
    request: pytest.FixtureRequest, files: tuple[Path, list[Path]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LlamaEngine, LlamaEngine]]:
    folder = tmp_path_factory.mktemp("saved") if request.param == "saved" else None
    warm = open_llama(files[0], evolve(SMALL, speculation="on"), kv_state_folder=folder)
    cold = open_llama(files[0], evolve(SMALL, speculation="off"))
    yield warm, cold
    warm.close()
    cold.close()


def abort_after(nodes: int | None) -> Any:
    """Return an abort callback that fires at the given node of the graph."""
    remaining = iter(range(nodes)) if nodes is not None else None
    return llama_cpp.ggml_abort_callback(lambda _: remaining is not None and next(remaining, None) is None)


def logits_of(engine: LlamaEngine, prompt: Prompt) -> Any:
    """Return the logits behind a prompt, shape (vocabulary,)."""
    return engine.logits(prompt)[-1]


def cold_logits(engine: LlamaEngine, tokens: tuple[int, ...], adapters: tuple[AppliedAdapter, ...]) -> Any:
    engine.mirror.clear()
    return logits_of(engine, Prompt(tokens, "", adapters=adapters))


def check_kept_logits(warm: LlamaEngine, cold: LlamaEngine, prompt: Prompt) -> int:
    """Check the logits kept behind each token of the current sequence. Return how many rows there are."""
    tokens = tuple(warm.mirror.tokens)
    kept = {
        end: row
        for end in range(1, len(tokens) + 1)
        if (row := warm.mirror.kept_logits.find(prompt.adapters, tokens[:end])) is not None
    }
    if kept:
        cold.mirror.clear()
        rows = cold.logits(Prompt(tokens, "", adapters=prompt.adapters), len(tokens))
        for end, row in kept.items():
            np.testing.assert_allclose(row, rows[end - 1], atol=TOLERANCE)
    return len(kept)


def run(engine: LlamaEngine, step: Step, prompt: Prompt) -> FinishReason | None:
    """Run a step with its abort armed. Return why a generation ended."""
    engine = evolve(engine, abort_callback=abort_after(step.abort_after))
    if step.background:
        engine.prefill(prompt, CancelToken())
        return None
    sampling = SamplingParams(max_tokens=step.tokens)
    listeners = [lambda _: True] * step.candidates
    return engine.generate(prompt, sampling, CancelToken(), listeners)[0].finish_reason


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_steps)
def test_the_cache_never_changes_what_the_model_computes(engines, files, steps: list[Step]):
    warm, cold = engines
    loras = tuple(map(AppliedAdapter, files[1]))
    warm.mirror.clear()
    texts = ["A = (B)\n" * 6, "A = (B)\n" * 6 + "C.D = E\n" * 4, "F(A)\n" * 8, ""]
    for step in steps:
        text = texts[step.document]
        texts[step.document] = text = (text[: max(0, len(text) - step.cut)] + step.typed)[-200:]
        head = warm.tokenizer.encode(step.suffix) or (0,)
        adapters = loras[: step.adapters]
        prompt = Prompt(head, text, adapters=adapters, location=str(step.document))
        run(warm, step, prompt)
        for sequence, state in enumerate(warm.mirror.states):
            assert len(state.tokens) <= warm.cache.held(sequence)
        check_kept_logits(warm, cold, prompt)
        served = logits_of(warm, prompt)
        expected = cold_logits(cold, tuple(warm.mirror.tokens), adapters)
        np.testing.assert_allclose(served, expected, atol=TOLERANCE)


def test_a_wrong_token_would_show(engines):
    _, cold = engines
    tokens = cold.tokenizer.encode("A = (B)\n" * 6)
    right = cold_logits(cold, tokens, ())
    wrong = cold_logits(cold, (*tokens[:10], tokens[11], *tokens[11:]), ())
    assert np.abs(right - wrong).max() > 10 * TOLERANCE


def test_the_logits_behind_a_prompt_and_what_was_generated_are_kept_as_a_cold_model_computes_them(engines):
    warm, cold = engines
    warm.mirror.clear()
    prompt = Prompt((0,), "A = (B)\n" * 6)
    sampling = SamplingParams(max_tokens=9)
    (generation,) = warm.generate(prompt, sampling, CancelToken(), [lambda _: True])
    assert check_kept_logits(warm, cold, prompt) == generation.timings.generated_tokens == 9


def test_an_abort_at_any_node_is_followed_by_the_right_logits(engines):
    warm, cold = engines
    prompt = Prompt((0,), "A = (B)\n" * 6)
    expected = None
    aborted = 0
    for nodes in range(0, 400, 9):
        warm.mirror.clear()
        step = Step(0, 0, "", "", 0, False, 1, 1, nodes)
        aborted += run(warm, step, prompt) is FinishReason.CANCELLED
        served = logits_of(warm, prompt)
        if expected is None:
            expected = cold_logits(cold, tuple(warm.mirror.tokens), ())
        np.testing.assert_allclose(served, expected, atol=TOLERANCE)
    assert aborted > 10


def likeliest_so_far(engine: LlamaEngine, prompt: tuple[int, ...], generated: tuple[int, ...]) -> bool:
    """Return whether each token but the first is the likeliest of a cold evaluation, within tolerance."""
    for index in range(1, len(generated)):
        logits = cold_logits(engine, (*prompt, *generated[:index]), ())
        if logits[generated[index]] < logits.max() - TOLERANCE:
            return False
    return True


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.text(ALPHABET, min_size=1, max_size=60), min_size=3, max_size=3), last=st.integers(0, 2)
)
def test_each_candidate_is_what_a_cold_model_generates(engines, texts: list[str], last: int):
    warm, cold = engines
    warm.mirror.clear()
    sampling = SamplingParams(max_tokens=6)
    # Different heads, so that no prompt is a beginning of another one.
    prompts = [Prompt((head,), text, location=str(head)) for head, text in enumerate(texts)]
    for prompt in prompts:
        warm.generate(prompt, sampling, CancelToken(), [lambda _: True])
    candidates = warm.generate(prompts[last], sampling, CancelToken(), [lambda _: True] * 3)
    known = (last, *warm.tokenizer.encode(texts[last]))
    first_logits = cold_logits(cold, known, ())
    tokens = [warm.tokenizer.encode(candidate.text) for candidate in candidates]
    assert len({generated[:1] for generated in tokens}) == len(tokens) > 1
    ranked = [first_logits[generated[0]] for generated in tokens if generated]
    assert all(after <= before + TOLERANCE for before, after in pairwise(ranked))
    for generated in tokens:
        assert likeliest_so_far(cold, known, generated)
    for prompt in prompts:
        (again,) = warm.generate(prompt, sampling, CancelToken(), [lambda _: True])
        assert again.timings.evaluated_tokens == 0
        whole = tuple(warm.mirror.tokens)
        served = logits_of(warm, Prompt(whole, "", location=prompt.location))
        np.testing.assert_allclose(served, cold_logits(cold, whole, ()), atol=TOLERANCE)


@pytest.mark.parametrize(("sequences", "batch", "most"), [(1, 16, 1), (2, 16, 2), (3, 16, 3), (3, 2, 2)])
def test_there_are_no_more_candidates_than_sequences_and_rows(files, sequences: int, batch: int, most: int):
    engine = open_llama(files[0], evolve(SMALL, sequences=sequences, batch_tokens=batch))
    try:
        listeners = [lambda _: True] * 5
        sampling = SamplingParams(max_tokens=4)
        candidates = engine.generate(Prompt((0,), "A = (B)\n" * 6), sampling, CancelToken(), listeners)
        assert len(candidates) == most
        assert all(candidate.timings.generated_tokens == 4 for candidate in candidates)
    finally:
        engine.close()
