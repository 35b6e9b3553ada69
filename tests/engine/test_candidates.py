"""What every engine promises of candidates: one prefill, one batch a round, and nobody else pays."""

from __future__ import annotations

import pytest
from attrs import evolve

from fim_lsp.engine.base import CancelToken
from fim_lsp.types import FinishReason, SamplingParams, StreamedToken

ONE = "import os\n\n\ndef add(first, second):\n    return first + second\n\n\ndef double(value):\n    return"
OTHERS = ["class Stack:\n    def push(self):\n" * 3, "for item in items:\n    print(" * 3, "x = 1\n" * 9]


def test_the_first_candidate_says_what_a_single_generation_says(bench):
    alone = bench.run(bench.prompt(ONE), max_tokens=12)
    first, *others = bench.run_candidates(bench.prompt(ONE), max_tokens=12)
    assert first.text == alone.text
    assert first.finish_reason is alone.finish_reason
    assert first.timings.generated_tokens == alone.timings.generated_tokens
    assert len(others) == 2


def test_candidates_begin_with_different_tokens_of_falling_probability(bench):
    said = bench.run_candidates(bench.prompt(ONE), max_tokens=1)
    assert len({one.text for one in said}) == 3
    likely = [one.probabilities[0] for one in said]
    assert likely == sorted(likely, reverse=True)
    assert all(one.text for one in said)


def test_candidates_share_one_prefill_and_one_batch_a_round(bench):
    said = bench.run_candidates(bench.prompt(ONE), max_tokens=6)
    assert said[0].timings.evaluated_tokens == len(bench.engine.tokenizer.encode(ONE))
    longest = max(one.timings.generated_tokens for one in said)
    assert longest == 6
    assert sum(one.timings.generated_tokens for one in said) > 12
    assert {one.timings.decodes for one in said} == {longest - 1}


def test_a_single_generation_decodes_once_a_token_that_no_draft_foresaw(bench):
    timings = bench.run(bench.prompt(ONE), max_tokens=6).timings
    assert (timings.generated_tokens, timings.decodes + timings.accepted_tokens) == (6, 5)


@pytest.mark.parametrize("mosts", [(2, 5, 3), (5, 2, 4), (1, 1, 4), (3, 1, 1)])
def test_each_candidate_ends_by_itself(bench, mosts):
    heard: list[list[StreamedToken]] = [[], [], []]

    def listener(at: int, most: int):
        return lambda piece: heard[at].append(piece) or len(heard[at]) < most

    listeners = [listener(at, most) for at, most in enumerate(mosts)]
    said = bench.run_candidates(bench.prompt(ONE), *listeners, max_tokens=20)
    assert tuple(len(pieces) for pieces in heard) == mosts
    assert {one.finish_reason for one in said} == {FinishReason.STOPPED}
    for one, pieces in zip(said, heard, strict=True):
        assert one.text == "".join(piece.text for piece in pieces)
    assert said[0].timings.decodes == max(mosts) - 1
    assert bench.run(bench.prompt(ONE), max_tokens=1).timings.evaluated_tokens == 1


def test_what_other_documents_evaluated_survives_candidates(bench):
    expected = [bench.run(bench.prompt(text)).text for text in OTHERS]
    bench.run_candidates(bench.prompt(ONE))
    for text, said in zip(OTHERS, expected, strict=True):
        again = bench.run(bench.prompt(text))
        assert (again.text, again.timings.evaluated_tokens) == (said, 1)


def test_accepting_the_first_candidate_costs_one_token_and_the_prompt_stays_evaluated(bench):
    said = bench.run_candidates(bench.prompt(ONE))
    for one in (said[0], said[2]):
        accepted = bench.run(bench.prompt(ONE + one.text)).timings
        assert accepted.reused_tokens >= len(bench.engine.tokenizer.encode(ONE)) - 2
        assert accepted.evaluated_tokens <= (1 if one is said[0] else 9)


def test_the_mirror_claims_what_the_first_candidate_left(bench):
    first = bench.run_candidates(bench.prompt(ONE), max_tokens=5)[0].timings
    known = first.evaluated_tokens + first.reused_tokens + first.generated_tokens - 1
    assert len(bench.mirror) == known


def test_a_cancel_ends_all_and_loses_nothing(bench):
    expected = [bench.run(bench.prompt(text)).text for text in OTHERS]
    cancel = CancelToken()
    heard: list[StreamedToken] = []

    def stop(piece: StreamedToken) -> bool:
        heard.append(piece)
        if len(heard) == 3:
            cancel.cancel()
        return True

    def listen(_: StreamedToken) -> bool:
        return True

    said = bench.run_candidates(bench.prompt(ONE), stop, listen, listen, max_tokens=20, cancel=cancel)
    assert {one.finish_reason for one in said} == {FinishReason.CANCELLED}
    assert {one.timings.generated_tokens for one in said} == {3}
    for text, answer in zip(OTHERS, expected, strict=True):
        again = bench.run(bench.prompt(text))
        assert (again.text, again.timings.evaluated_tokens) == (answer, 1)
    assert bench.run(bench.prompt(ONE)).timings.evaluated_tokens == 1


def test_a_cancel_before_the_start_leaves_one_cancelled_candidate(bench):
    cancel = CancelToken()
    cancel.cancel()
    (said,) = bench.run_candidates(bench.prompt(ONE), cancel=cancel)
    assert said.finish_reason is FinishReason.CANCELLED
    assert said.timings.evaluated_tokens == 0


def test_stop_ids_end_a_candidate_and_begin_none(bench):
    free = bench.run_candidates(bench.prompt(ONE), max_tokens=1)
    stop = bench.engine.tokenizer.encode(free[1].text)[0]
    said = bench.run_candidates(bench.prompt(ONE, stop_ids=frozenset({stop})), max_tokens=1)
    assert free[1].text not in [one.text for one in said]
    assert said[0].text == free[0].text


def test_another_answer_can_be_asked_for_and_costs_what_it_says(bench):
    first = bench.run(bench.prompt(ONE), max_tokens=6)
    sampling = SamplingParams(max_tokens=6, excluded_prefix=first.text)
    heard: list[StreamedToken] = []
    (other,) = bench.engine.generate(
        bench.prompt(ONE), sampling, CancelToken(), [lambda piece: heard.append(piece) or True]
    )
    assert not first.text.startswith(next(piece.text for piece in heard if piece.text))
    assert other.timings.evaluated_tokens <= 1
    assert bench.run(bench.prompt(ONE), max_tokens=6).text == first.text


@pytest.mark.model
def test_candidates_respect_healing(llama_engine):
    from tests.engine.conftest import Bench

    llama_engine.mirror.clear()
    bench = Bench(llama_engine)
    prompt = evolve(bench.prompt("def fib(n):\n    if n < 2:\n        return n\n    retu"), heal=True)
    said = bench.run_candidates(prompt, max_tokens=6)
    assert said[0].text == bench.run(prompt, max_tokens=6).text
    assert said[0].text.startswith("rn ")
    assert len({one.text for one in said}) == len(said) == 3


@pytest.mark.model
@pytest.mark.parametrize("indent", ["    ", "        ", "  "])
def test_candidates_of_a_healed_indentation_say_different_things(llama_engine, indent):
    from tests.engine.conftest import Bench

    llama_engine.mirror.clear()
    bench = Bench(llama_engine)
    prompt = evolve(bench.prompt(f"def area(width, height):\n{indent}"), heal=True)
    said = bench.run_candidates(prompt, max_tokens=7)
    assert said[0].text == bench.run(prompt, max_tokens=7).text
    assert len({one.text for one in said}) == 3
    assert max(one.timings.generated_tokens for one in said) == 7
    assert all(len(one.probabilities) == one.timings.generated_tokens for one in said)
