"""The contract of several generations at once: one prefill, one batch a round, nothing else is evicted."""

from __future__ import annotations

import pytest
from attrs import evolve

from fim_lsp.engine.base import CancelToken
from fim_lsp.types import FinishReason, SamplingParams, StreamedToken
from tests.engine.conftest import Bench

ONE = "import os\n\n\ndef add(first, second):\n    return first + second\n\n\ndef double(value):\n    return"
OTHERS = ["class Stack:\n    def push(self):\n" * 3, "for item in items:\n    print(" * 3, "x = 1\n" * 9]


def test_the_first_candidate_is_the_single_generation(bench):
    alone = bench.run(bench.prompt(ONE), max_tokens=12)
    first, *others = bench.run_candidates(bench.prompt(ONE), max_tokens=12)
    assert first.text == alone.text
    assert first.finish_reason is alone.finish_reason
    assert first.timings.generated_tokens == alone.timings.generated_tokens
    assert len(others) == 2


def test_candidates_begin_with_different_tokens_of_falling_probability(bench):
    candidates = bench.run_candidates(bench.prompt(ONE), max_tokens=1)
    assert len({candidate.text for candidate in candidates}) == 3
    probabilities = [candidate.probabilities[0] for candidate in candidates]
    assert probabilities == sorted(probabilities, reverse=True)
    assert all(candidate.text for candidate in candidates)


def test_candidates_share_one_prefill_and_one_batch_a_round(bench):
    candidates = bench.run_candidates(bench.prompt(ONE), max_tokens=6)
    assert candidates[0].timings.evaluated_tokens == len(bench.engine.tokenizer.encode(ONE))
    lengths = [candidate.timings.generated_tokens for candidate in candidates]
    assert max(lengths) == 6
    assert sum(lengths) > 12
    assert {candidate.timings.decodes for candidate in candidates} == {max(lengths) - 1}


def test_a_single_generation_decodes_once_for_each_token_that_was_not_drafted(bench):
    timings = bench.run(bench.prompt(ONE), max_tokens=6).timings
    assert (timings.generated_tokens, timings.decodes + timings.accepted_tokens) == (6, 5)


@pytest.mark.parametrize("mosts", [(2, 5, 3), (5, 2, 4), (1, 1, 4), (3, 1, 1)])
def test_each_candidate_ends_by_itself(bench, mosts):
    received: list[list[StreamedToken]] = [[], [], []]

    def listener(index: int, most: int):
        return lambda token: received[index].append(token) or len(received[index]) < most

    listeners = [listener(index, most) for index, most in enumerate(mosts)]
    candidates = bench.run_candidates(bench.prompt(ONE), *listeners, max_tokens=20)
    assert tuple(len(tokens) for tokens in received) == mosts
    assert {candidate.finish_reason for candidate in candidates} == {FinishReason.STOPPED}
    for candidate, tokens in zip(candidates, received, strict=True):
        assert candidate.text == "".join(token.text for token in tokens)
    assert candidates[0].timings.decodes == max(mosts) - 1
    assert bench.run(bench.prompt(ONE), max_tokens=1).timings.evaluated_tokens == 0


def test_other_documents_stay_evaluated(bench):
    expected = [bench.run(bench.prompt(text)).text for text in OTHERS]
    bench.run_candidates(bench.prompt(ONE))
    for text, generated in zip(OTHERS, expected, strict=True):
        again = bench.run(bench.prompt(text))
        assert (again.text, again.timings.evaluated_tokens) == (generated, 0)


def test_accepting_the_first_candidate_costs_one_token_and_the_prompt_stays_evaluated(bench):
    first, _, third = bench.run_candidates(bench.prompt(ONE))
    for candidate in (first, third):
        accepted = bench.run(bench.prompt(ONE + candidate.text)).timings
        assert accepted.reused_tokens >= len(bench.engine.tokenizer.encode(ONE)) - 2
        assert accepted.evaluated_tokens <= (1 if candidate is first else 9)


def test_the_mirror_lists_the_tokens_of_the_first_candidate(bench):
    first = bench.run_candidates(bench.prompt(ONE), max_tokens=5)[0].timings
    known = first.evaluated_tokens + first.reused_tokens + first.generated_tokens - 1
    assert len(bench.mirror) == known


def test_a_cancel_ends_all_and_loses_nothing(bench):
    expected = [bench.run(bench.prompt(text)).text for text in OTHERS]
    cancel = CancelToken()
    tokens: list[StreamedToken] = []

    def cancel_at_third(token: StreamedToken) -> bool:
        tokens.append(token)
        if len(tokens) == 3:
            cancel.cancel()
        return True

    def go_on(_: StreamedToken) -> bool:
        return True

    listeners = (cancel_at_third, go_on, go_on)
    candidates = bench.run_candidates(bench.prompt(ONE), *listeners, max_tokens=20, cancel=cancel)
    assert {candidate.finish_reason for candidate in candidates} == {FinishReason.CANCELLED}
    assert {candidate.timings.generated_tokens for candidate in candidates} == {3}
    for text, answer in zip(OTHERS, expected, strict=True):
        again = bench.run(bench.prompt(text))
        assert (again.text, again.timings.evaluated_tokens) == (answer, 0)
    assert bench.run(bench.prompt(ONE)).timings.evaluated_tokens == 0


def test_a_cancel_before_the_start_leaves_one_cancelled_candidate(bench):
    cancel = CancelToken()
    cancel.cancel()
    (candidate,) = bench.run_candidates(bench.prompt(ONE), cancel=cancel)
    assert candidate.finish_reason is FinishReason.CANCELLED
    assert candidate.timings.evaluated_tokens == 0


def test_stop_ids_end_a_candidate_and_begin_none(bench):
    free = bench.run_candidates(bench.prompt(ONE), max_tokens=1)
    stop = bench.engine.tokenizer.encode(free[1].text)[0]
    stopped = bench.run_candidates(bench.prompt(ONE, stop_ids=frozenset({stop})), max_tokens=1)
    assert free[1].text not in [candidate.text for candidate in stopped]
    assert stopped[0].text == free[0].text


def test_a_prefix_can_be_excluded_without_another_prefill(bench):
    first = bench.run(bench.prompt(ONE), max_tokens=6)
    sampling = SamplingParams(max_tokens=6, excluded_prefix=first.text)
    tokens: list[StreamedToken] = []
    (other,) = bench.engine.generate(
        bench.prompt(ONE), sampling, CancelToken(), [lambda token: tokens.append(token) or True]
    )
    assert not first.text.startswith(next(token.text for token in tokens if token.text))
    assert other.timings.evaluated_tokens <= 1
    assert bench.run(bench.prompt(ONE), max_tokens=6).text == first.text


@pytest.mark.model
def test_candidates_respect_healing(llama_engine):
    llama_engine.mirror.clear()
    bench = Bench(llama_engine)
    prompt = evolve(bench.prompt("def fib(n):\n    if n < 2:\n        return n\n    retu"), heal=True)
    candidates = bench.run_candidates(prompt, max_tokens=6)
    assert candidates[0].text == bench.run(prompt, max_tokens=6).text
    assert candidates[0].text.startswith("rn ")
    assert len({candidate.text for candidate in candidates}) == len(candidates) == 3


@pytest.mark.model
@pytest.mark.parametrize("indent", ["    ", "        ", "  "])
def test_candidates_of_a_healed_indentation_differ(llama_engine, indent):
    llama_engine.mirror.clear()
    bench = Bench(llama_engine)
    prompt = evolve(bench.prompt(f"def area(width, height):\n{indent}"), heal=True)
    candidates = bench.run_candidates(prompt, max_tokens=7)
    assert candidates[0].text == bench.run(prompt, max_tokens=7).text
    assert len({candidate.text for candidate in candidates}) == 3
    assert max(candidate.timings.generated_tokens for candidate in candidates) == 7
    for candidate in candidates:
        assert len(candidate.probabilities) == candidate.timings.generated_tokens
