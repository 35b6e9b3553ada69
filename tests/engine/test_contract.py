"""The contract of every engine, in counts of tokens.

Runs over the scripted one, llama.cpp, and both behind HTTP: a stand-in for llama-server, and the real one.
"""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from fim_lsp.engine.base import CancelToken, PromptTooColdError, PromptTooLongError
from fim_lsp.engine.scripted import ScriptedEngine
from fim_lsp.types import FinishReason, Prompt, StreamedToken
from tests.engine.conftest import Bench, make_bench

ENGINES = [
    "scripted",
    pytest.param("llama", marks=pytest.mark.model),
    pytest.param("drafting", marks=pytest.mark.model),
    "remote_scripted",
    pytest.param("remote_llama", marks=pytest.mark.model),
]

CODE = "import os\n\n\ndef add(a, b):\n    return a + b\n\n\ndef multiply(a, b):\n    return a"


@pytest.fixture(params=ENGINES)
def bench(request: pytest.FixtureRequest) -> Bench:
    return make_bench(request)


def test_a_cold_prompt_is_evaluated_whole(bench):
    prompt = bench.prompt(CODE)
    timings = bench.run(prompt).timings
    assert timings.evaluated_tokens == len(bench.engine.tokenizer.encode(CODE))
    assert timings.reused_tokens == 0


def test_the_same_prompt_again_evaluates_one_token_at_most(bench):
    first = bench.run(bench.prompt(CODE))
    again = bench.run(bench.prompt(CODE))
    assert again.timings.evaluated_tokens <= 1
    assert again.text == first.text


@pytest.mark.local_engine
def test_the_same_prompt_again_evaluates_nothing(bench):
    bench.run(bench.prompt(CODE))
    again = bench.run(bench.prompt(CODE)).timings
    assert (again.evaluated_tokens, again.reused_tokens) == (0, len(bench.engine.tokenizer.encode(CODE)))


def test_typing_on_evaluates_little_and_accepting_the_text_one_token(bench):
    text = bench.run(bench.prompt(CODE)).text
    typed = bench.run(bench.prompt(CODE + text[:3]))
    assert typed.timings.evaluated_tokens <= 4
    accepted = bench.run(bench.prompt(CODE + text))
    assert accepted.timings.evaluated_tokens <= 1 + len(bench.engine.tokenizer.encode(text[3:]))


def test_backspacing_evaluates_at_most_a_word(bench):
    bench.run(bench.prompt(CODE + " * total"))
    back = bench.run(bench.prompt(CODE + " * to"))
    assert back.timings.evaluated_tokens <= 4


def test_a_head_that_stays_is_reused(bench):
    bench.run(bench.prompt("return ", head=CODE))
    timings = bench.run(bench.prompt("yield ", head=CODE)).timings
    assert timings.reused_tokens >= len(bench.engine.tokenizer.encode(CODE)) - 1


@pytest.mark.local_engine
def test_the_mirror_never_claims_more_than_was_evaluated(bench):
    generation = bench.run(bench.prompt(CODE), max_tokens=5)
    timings = generation.timings
    # The last token sampled is not evaluated.
    known = timings.evaluated_tokens + timings.reused_tokens + timings.generated_tokens - 1
    assert len(bench.mirror) == known


def test_on_token_ends_the_generation(bench):
    tokens: list[StreamedToken] = []

    def first_three(token: StreamedToken) -> bool:
        tokens.append(token)
        return len(tokens) < 3

    generation = bench.run(bench.prompt(CODE), max_tokens=20, on_token=first_three)
    assert generation.finish_reason is FinishReason.STOPPED
    assert generation.timings.generated_tokens == 3
    assert "".join(token.text for token in tokens) == generation.text


def test_the_token_limit_ends_the_generation(bench):
    generation = bench.run(bench.prompt(CODE), max_tokens=4)
    assert generation.finish_reason is FinishReason.LENGTH
    assert generation.timings.generated_tokens == 4
    assert len(generation.probabilities) == 4
    assert all(0 < probability <= 1 for probability in generation.probabilities)


def test_a_cancel_before_the_start_evaluates_nothing(bench):
    cancel = CancelToken()
    cancel.cancel()
    generation = bench.run(bench.prompt(CODE), cancel=cancel)
    assert generation.finish_reason is FinishReason.CANCELLED
    assert generation.timings.evaluated_tokens == 0


def test_a_cancel_while_decoding_keeps_the_text_so_far(bench):
    cancel = CancelToken()

    def stop(_: StreamedToken) -> bool:
        cancel.cancel()
        return True

    generation = bench.run(bench.prompt(CODE), cancel=cancel, on_token=stop)
    assert generation.finish_reason is FinishReason.CANCELLED
    assert generation.timings.generated_tokens == 1


def test_a_prompt_that_fills_the_context_is_refused_and_the_engine_goes_on(bench):
    with pytest.raises(PromptTooLongError, match="context window"):
        bench.run(bench.prompt("x = 1\n" * 1000))
    assert bench.run(bench.prompt(CODE)).text


def test_generation_ends_with_the_context(bench):
    size = bench.engine.info.context
    head = (bench.engine.tokenizer.encode("x = 1\n") * size)[: size - 3]
    generation = bench.run(Prompt(head=head, tail=""), max_tokens=50)
    assert generation.timings.generated_tokens <= 3
    assert generation.finish_reason in (FinishReason.LENGTH, FinishReason.END)


def test_text_arrives_in_whole_characters(bench):
    prompt = bench.prompt('greeting = "日本語 😀 ')
    pieces: list[str] = []
    generation = bench.run(prompt, max_tokens=12, on_token=lambda piece: pieces.append(piece.text) or True)
    assert "".join(pieces) == generation.text
    generation.text.encode("utf-8")


def test_stop_ids_end_the_generation(bench):
    first = bench.run(bench.prompt(CODE), max_tokens=1)
    stop = bench.engine.tokenizer.encode(first.text)[0]
    generation = bench.run(bench.prompt(CODE, stop_ids=frozenset({stop})))
    assert generation.finish_reason is FinishReason.END
    assert generation.text == ""


@pytest.mark.local_engine
def test_a_cancel_inside_a_prefill_keeps_what_was_evaluated(bench):
    prompt = bench.prompt("value = compute(first, second)\n" * 30)
    total = len(bench.engine.tokenizer.encode(prompt.tail))
    cancel = CancelToken()
    watcher = _cancel_within_prefill(bench, cancel)
    generation = bench.run(prompt, cancel=cancel)
    watcher.join()
    assert generation.finish_reason is FinishReason.CANCELLED
    assert 0 < generation.timings.evaluated_tokens < total
    kept = generation.timings.evaluated_tokens
    resumed = bench.run(prompt)
    assert resumed.timings.reused_tokens == kept
    assert resumed.timings.evaluated_tokens == total - kept


def _cancel_within_prefill(bench, cancel: CancelToken) -> threading.Thread:
    """Cancel once the mirror shows that part of the prefill is done."""

    def watch() -> None:
        while len(bench.mirror) < 100:
            time.sleep(0.001)
        cancel.cancel()

    # The scripted engine evaluates faster than a thread can look.
    if isinstance(bench.engine, ScriptedEngine):
        remaining = iter(range(100))
        bench.engine.script.before_token = lambda: cancel.cancel() if next(remaining, None) is None else None
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    return watcher


@pytest.mark.local_engine
@pytest.mark.parametrize("draft", ["", "    return a * b\n", "nothing alike", "😀"])
def test_a_draft_never_changes_the_text_nor_the_kept_tokens(bench, draft):
    expected = bench.run(bench.prompt(CODE), max_tokens=12)
    bench.engine.mirror.clear()
    drafted = bench.run(bench.prompt(CODE, draft=draft), max_tokens=12)
    timings = drafted.timings
    assert drafted.text == expected.text
    assert timings.accepted_tokens <= timings.drafted_tokens
    assert timings.decodes + timings.accepted_tokens == timings.generated_tokens - 1
    assert len(bench.mirror) == timings.evaluated_tokens + timings.generated_tokens - 1


@pytest.mark.local_engine
def test_logits_of_many_rows_are_those_of_each_prefix(bench):
    tokens = bench.engine.tokenizer.encode(CODE)
    rows = bench.engine.logits(bench.prompt(CODE), rows=5)
    assert rows.shape[0] == 5
    assert rows.dtype == np.float32
    for row, end in zip(rows, range(len(tokens) - 4, len(tokens) + 1), strict=True):
        (alone,) = bench.engine.logits(Prompt(tokens[:end], ""))
        # llama.cpp's kernels for one row and for many differ by up to 1.1 in a logit of Q4_1 (0.3.36).
        np.testing.assert_allclose(row, alone, atol=1.5)


@pytest.mark.local_engine
def test_logits_rank_the_first_token_of_a_generation_first(bench):
    generation = bench.run(bench.prompt(CODE), max_tokens=1)
    (row,) = bench.engine.logits(bench.prompt(CODE))
    likeliest = int(row.argmax())
    assert bench.engine.tokenizer.decode((likeliest,)) == generation.text


@pytest.mark.local_engine
def test_logits_leave_their_prompt_evaluated(bench):
    bench.run(bench.prompt(CODE))
    bench.engine.logits(bench.prompt(CODE), rows=3)
    count = len(bench.engine.tokenizer.encode(CODE))
    assert len(bench.mirror) == count
    assert bench.run(bench.prompt(CODE)).timings.evaluated_tokens == 0


@pytest.mark.local_engine
@pytest.mark.parametrize("rows", [0, 1000])
def test_a_prompt_has_no_more_rows_of_logits_than_tokens(bench, rows):
    with pytest.raises(ValueError, match="rows of logits"):
        bench.engine.logits(bench.prompt(CODE), rows=rows)


@pytest.mark.local_engine
@pytest.mark.parametrize("background", [False, True])
def test_a_prompt_that_is_too_cold_evaluates_and_drops_nothing(bench, background):
    bench.run(bench.prompt(CODE))
    held = [tuple(state.tokens) for state in bench.engine.mirror.states]
    cold = bench.prompt("", head="class A:\n    x = 1\n" * 4, max_pending=8)
    with pytest.raises(PromptTooColdError):
        bench.prefill(cold) if background else bench.run(cold)
    assert [tuple(state.tokens) for state in bench.engine.mirror.states] == held
    warm = bench.prompt(CODE + " +", max_pending=8)
    assert bench.run(warm).timings.evaluated_tokens <= 8
