"""The mirror of several sequences, on a tokenizer of bytes: which tokens each keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fim_lsp.engine.mirror import Mirror
from fim_lsp.engine.scripted import ByteTokenizer
from fim_lsp.types import AppliedAdapter, Prompt

TOKENIZER = ByteTokenizer()
ONE, OTHER = "first " * 20, "second " * 20
ADAPTED = (AppliedAdapter(Path("style.gguf")),)


def evaluate(mirror: Mirror, prompt: Prompt, *, background: bool = False) -> int | None:
    """Evaluate a whole prompt. Return how many tokens that took, or None if there was nothing to do."""
    slot = mirror.find_slot(prompt, TOKENIZER.pieces, TOKENIZER.encode, background=background)
    if slot is None:
        return None
    mirror.assign(slot, prompt, background=background)
    assert len(mirror.tokens) == slot.plan.keep
    mirror.tokens.extend(slot.plan.pending)
    assert TOKENIZER.decode(mirror.tokens) == prompt.tail
    return len(slot.plan.pending)


@pytest.fixture
def mirror() -> Mirror:
    return Mirror.of(3)


def test_switching_to_and_fro_costs_one_token(mirror: Mirror):
    evaluate(mirror, Prompt((), ONE))
    evaluate(mirror, Prompt((), OTHER))
    assert [evaluate(mirror, Prompt((), text)) for text in (ONE, OTHER, ONE)] == [1, 1, 1]


def test_kept_logits_spare_the_last_token_its_evaluation(mirror: Mirror):
    prompt = Prompt((), ONE)
    evaluate(mirror, prompt)
    rows = [np.full(3, number, np.float32) for number in range(2)]
    mirror.keep_logits(rows)
    assert evaluate(mirror, prompt) == 0
    np.testing.assert_array_equal(mirror.logits, rows[-1])
    assert evaluate(mirror, Prompt((), ONE[:-1])) == 0
    np.testing.assert_array_equal(mirror.logits, rows[0])
    assert evaluate(mirror, Prompt((), ONE[:-2])) == 1
    # The token is gone from the cache, so its logits alone are no use.
    assert evaluate(mirror, prompt) == 2
    assert evaluate(mirror, Prompt((), ONE, adapters=ADAPTED)) == len(ONE)
    mirror.clear()
    assert evaluate(mirror, prompt) == len(ONE)
    assert mirror.logits is None


def test_the_least_recently_used_is_forgotten_first(mirror: Mirror):
    texts = [f"{n} " * 20 for n in "abcd"]
    for text in texts:
        evaluate(mirror, Prompt((), text))
    assert [evaluate(mirror, Prompt((), text)) for text in reversed(texts[1:])] == [1, 1, 1]
    assert evaluate(mirror, Prompt((), texts[0])) == len(texts[0])


def test_tokens_that_two_prompts_share_are_evaluated_once(mirror: Mirror):
    shared = "shared " * 10
    evaluate(mirror, Prompt((), shared + ONE))
    assert evaluate(mirror, Prompt((), shared + OTHER)) == len(OTHER)
    assert evaluate(mirror, Prompt((), shared + ONE)) == 1


def test_a_location_stays_in_its_sequence_however_it_changes(mirror: Mirror):
    evaluate(mirror, Prompt((), OTHER))
    for changed in (ONE, "x" + ONE, "y" + ONE, "z" + ONE, "q" + ONE):
        evaluate(mirror, Prompt((), changed, location="a.py:0"))
    assert evaluate(mirror, Prompt((), OTHER)) == 1


def test_adapters_have_sequences_of_their_own(mirror: Mirror):
    plain, adapted = Prompt((), ONE, location="a"), Prompt((), ONE, location="a", adapters=ADAPTED)
    evaluate(mirror, plain)
    assert evaluate(mirror, adapted) == len(ONE)
    assert evaluate(mirror, plain) == 1
    assert evaluate(mirror, adapted) == 1


def test_background_work_does_not_change_the_foreground(mirror: Mirror):
    evaluate(mirror, Prompt((), ONE + OTHER, location="a"))
    for ahead in (ONE + "x" * 40, ONE + "y" * 40, ONE + "z" * 40):
        assert evaluate(mirror, Prompt((), ahead, location="a"), background=True) == 40
    assert evaluate(mirror, Prompt((), ONE + OTHER, location="a")) == 1


def test_a_prefilled_prompt_costs_one_token(mirror: Mirror):
    evaluate(mirror, Prompt((), ONE))
    evaluate(mirror, Prompt((), OTHER), background=True)
    assert evaluate(mirror, Prompt((), OTHER), background=True) is None
    assert evaluate(mirror, Prompt((), OTHER)) == 1


def test_one_sequence_has_no_room_for_background_work():
    mirror = Mirror.of(1)
    evaluate(mirror, Prompt((), ONE))
    assert evaluate(mirror, Prompt((), OTHER), background=True) is None
    assert evaluate(mirror, Prompt((), ONE + "x"), background=True) == 1
    assert evaluate(mirror, Prompt((), ONE)) == 1


def test_a_cache_that_can_not_drop_a_tail_evaluates_the_whole_prompt(mirror: Mirror):
    evaluate(mirror, Prompt((), ONE))
    prompt = Prompt((), ONE[:-3])
    slot = mirror.find_slot(prompt, TOKENIZER.pieces, TOKENIZER.encode)
    assert slot is not None
    mirror.assign(slot, prompt)
    plan = mirror.drop_current(slot.plan)
    assert mirror.tokens == []
    assert plan.keep == 0
    assert plan.pending == TOKENIZER.encode(prompt.tail)


@given(
    held=st.lists(st.integers(0, 9), min_size=1, max_size=6),
    current=st.integers(0, 5),
    count=st.integers(1, 8),
)
def test_a_window_has_the_current_sequence_and_costs_least(held: list[int], current: int, count: int):
    mirror = Mirror.of(len(held))
    mirror.current = current = current % len(held)
    for state, tokens in zip(mirror.states, held, strict=True):
        state.tokens.extend(range(tokens))
    window = mirror.window(count)
    size = min(count, len(held))
    starts = range(len(held) - size + 1)
    possible = [range(start, start + size) for start in starts if start <= current < start + size]
    assert window in possible
    assert sum(held[i] for i in window) == min(sum(held[i] for i in other) for other in possible)
