"""The contract of an engine's sequences: one document never evicts another."""

from __future__ import annotations

import pytest
from attrs import evolve

from fim_lsp.engine.base import CancelToken, PromptTooLongError
from fim_lsp.types import FinishReason

ONE = "import os\n\n\ndef add(first, second):\n    return first + second\n\n\ndef double(value):\n    return"
OTHER = "class Stack:\n    def push(self, item):\n        self.items.append(item)\n\n    def pop(self):\n"


def test_switching_to_another_document_and_back_evaluates_nothing(bench):
    texts = [bench.run(bench.prompt(text)).text for text in (ONE, OTHER)]
    for _ in range(2):
        for text, expected in zip((ONE, OTHER), texts, strict=True):
            again = bench.run(bench.prompt(text))
            assert again.timings.evaluated_tokens == 0
            assert again.text == expected


def test_a_copied_sequence_generates_what_a_cold_one_does(bench):
    ends = ["\n\nprint(add(", "\n\nclass Adder:\n    def ", "\n\nassert double(2) =="]
    cold = []
    for end in ends:
        bench.engine.mirror.clear()
        cold.append(bench.run(bench.prompt(ONE * 2 + end)).text)
    bench.engine.mirror.clear()
    bench.run(bench.prompt(ONE * 4))
    for end, expected in zip(ends, cold, strict=True):
        copied = bench.run(bench.prompt(ONE * 2 + end))
        assert copied.timings.reused_tokens >= len(bench.engine.tokenizer.encode(ONE * 2)) - 2
        assert copied.text == expected
    assert bench.run(bench.prompt(ONE * 4)).timings.evaluated_tokens == 0


def test_an_abort_in_one_sequence_leaves_the_others_alone(bench):
    expected = bench.run(bench.prompt(ONE)).text
    cancel = CancelToken()

    def stop(_: object) -> bool:
        cancel.cancel()
        return True

    aborted = bench.run(bench.prompt(OTHER), cancel=cancel, on_token=stop)
    assert aborted.finish_reason is FinishReason.CANCELLED
    again = bench.run(bench.prompt(ONE))
    assert (again.text, again.timings.evaluated_tokens) == (expected, 0)


def test_adapters_keep_sequences_of_their_own(bench):
    plain, adapted = bench.prompt(ONE), bench.prompt(ONE, adapters=bench.adapters[:1])
    assert bench.run(plain).text != bench.run(adapted).text
    # A last token evaluated alone rounds differently from one in a batch, and these adapters are noise.
    texts = [bench.run(prompt).text for prompt in (plain, adapted)]
    for _ in range(2):
        for prompt, expected in zip((plain, adapted), texts, strict=True):
            again = bench.run(prompt)
            assert (again.text, again.timings.evaluated_tokens) == (expected, 0)


def test_a_prefill_spares_its_request_the_evaluation(bench):
    bench.run(bench.prompt(ONE))
    timings = bench.prefill(bench.prompt(OTHER))
    assert timings.evaluated_tokens == len(bench.engine.tokenizer.encode(OTHER))
    assert bench.run(bench.prompt(OTHER)).timings.evaluated_tokens == 0
    assert bench.run(bench.prompt(ONE)).timings.evaluated_tokens == 0


def test_a_prefill_of_an_evaluated_prompt_evaluates_nothing(bench):
    bench.run(bench.prompt(ONE))
    assert bench.prefill(bench.prompt(ONE)).evaluated_tokens == 0


def test_a_prefill_for_the_same_location_does_not_change_the_sequence_in_use(bench):
    prompt = bench.prompt(ONE + OTHER, location="a.py:0")
    bench.run(prompt)
    bench.prefill(evolve(prompt, tail=ONE + ONE))
    assert bench.run(prompt).timings.evaluated_tokens == 0
    assert bench.run(evolve(prompt, tail=ONE + ONE)).timings.evaluated_tokens == 0


def test_a_prefill_that_was_cancelled_evaluates_nothing_and_disturbs_nothing(bench):
    expected = bench.run(bench.prompt(ONE)).text
    cancel = CancelToken()
    cancel.cancel()
    assert bench.prefill(bench.prompt(OTHER), cancel).evaluated_tokens == 0
    assert bench.run(bench.prompt(ONE)).text == expected
    whole = bench.run(bench.prompt(OTHER)).timings
    assert whole.evaluated_tokens == len(bench.engine.tokenizer.encode(OTHER))


def test_a_prefill_too_long_for_the_context_is_refused(bench):
    with pytest.raises(PromptTooLongError):
        bench.prefill(bench.prompt("x = 1\n" * 1000))


def test_every_sequence_holds_a_whole_context(bench):
    size = bench.engine.info.context
    assert size >= 1024
    tokens = (bench.engine.tokenizer.encode("x = 1\n") * size)[: size - 4]
    first = [bench.engine.tokenizer.encode(f"{name} = 1\n")[0] for name in "ab"]
    prompts = [evolve(bench.prompt(""), head=(token, *tokens)) for token in first]
    for prompt in prompts:
        assert bench.run(prompt, max_tokens=2).timings.evaluated_tokens == size - 3
    assert [bench.run(prompt, max_tokens=2).timings.evaluated_tokens for prompt in prompts] == [0, 0]
