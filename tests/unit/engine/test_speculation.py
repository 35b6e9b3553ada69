"""Drafts: which tokens they hold, and when they are tried, by their cost and acceptance rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fim_lsp.engine.speculation import (
    ASSUMED_RATE,
    DRAFT_TOKENS,
    Acceptance,
    Ngrams,
    Speculator,
    decide,
    expected_tokens,
    pays,
)

_tokens = st.lists(st.integers(0, 3), max_size=40)
rates = st.floats(0, 1)
MEASURED = decide("auto", 1.5)


@pytest.mark.parametrize(
    ("rate", "drafted", "tokens"), [(0, 3, 1), (1, 3, 4), (0.5, 1, 1.5), (0.5, 3, 1.875), (0.9, 0, 1)]
)
def test_tokens_that_a_decode_yields(rate, drafted, tokens):
    assert expected_tokens(rate, drafted) == pytest.approx(tokens)


@given(rate=rates, drafted=st.integers(1, DRAFT_TOKENS), ratio=st.floats(0.5, 8))
def test_a_draft_pays_if_it_yields_more_than_it_costs(rate, drafted, ratio):
    cost = 1 + (ratio - 1) * drafted / DRAFT_TOKENS
    assert pays(rate, drafted, ratio) == (sum(rate**count for count in range(drafted + 1)) > cost)
    if pays(rate, drafted, ratio):
        assert pays(1.0, drafted, ratio)
        assert pays(rate, drafted, ratio / 2)


@given(rate=rates)
def test_rows_that_cost_as_much_as_decodes_never_pay(rate):
    assert not pays(rate, DRAFT_TOKENS, DRAFT_TOKENS + 1)


@given(rate=rates, ratio=st.floats(0, 8))
def test_no_draft_is_no_gain(rate, ratio):
    assert not pays(rate, 0, ratio)


@pytest.mark.parametrize(
    ("setting", "ratio", "draft", "reason"),
    [
        ("auto", 1.8, DRAFT_TOKENS, "on, as"),
        ("auto", 2.7, 0, "2.70"),
        ("auto", None, 0, "take back"),
        ("on", 0.0, DRAFT_TOKENS, "on by model.speculation"),
        ("on", None, 0, "take back"),
        ("off", None, 0, "off by model.speculation"),
    ],
)
def test_the_decision_at_load(setting, ratio, draft, reason):
    speculation = decide(setting, ratio)
    assert speculation.draft_tokens == draft
    assert reason in speculation.reason


def test_the_rate_starts_at_the_assumption_and_follows_the_counts():
    assert Acceptance().rate == pytest.approx(ASSUMED_RATE)
    good = bad = Acceptance()
    for _ in range(50):
        good, bad = good.after(3, rejected=False), bad.after(0, rejected=True)
    assert good.rate > 0.9
    assert bad.rate < 0.3
    for _ in range(200):
        bad = bad.faded()
    assert bad.rate == pytest.approx(ASSUMED_RATE, abs=0.01)


def test_drafts_that_are_always_rejected_stop_and_are_tried_again_later():
    speculator = Speculator(MEASURED)
    tried = []
    for _ in range(200):
        drafter = speculator.begin([1, 2, 3, 4, 1, 2, 3], ())
        tried.append(drafter is not None)
        if drafter is not None:
            for _ in range(4):
                drafter.record((4, 1, 2), [9])
    assert tried[0]
    assert tried.count(False) > 50
    assert any(tried[100:])


def test_a_former_suggestion_goes_before_the_document_and_needs_fewer_tokens():
    speculator = Speculator(decide("on", 0.0))
    drafter = speculator.begin([1, 2, 3, 4, 5, 6, 7, 1, 2], [8, 2, 3, 9, 9, 9])
    assert drafter is not None
    assert drafter.draft([3], 3) == (9, 9, 9)
    plain = speculator.begin([1, 2, 3, 4, 5, 6, 7, 1, 2], ())
    assert plain is not None
    assert plain.draft([3], 2) == (4, 5)
    assert plain.draft([0], 2) == ()
    assert plain.draft([1, 2, 3], 0) == ()


def test_only_tokens_up_to_the_first_rejected_one_are_checked():
    speculator = Speculator(decide("on", 0.0))
    drafter = speculator.begin([1], ())
    assert drafter is not None
    assert drafter.record((1, 2, 3), [1, 9]) == 1
    assert speculator.acceptance == Acceptance(1, 2)
    # The generation ended within the draft: nothing was rejected.
    assert drafter.record((1, 2, 3), [1, 2]) == 2
    assert speculator.acceptance == Acceptance(3, 4)


def latest_match(tokens: list[int], last: list[int], lengths: tuple[int, ...], count: int) -> tuple[int, ...]:
    """Search every index for what :class:`Ngrams` looks up."""
    for length in lengths:
        for start in range(len(tokens) - 1, length - 1, -1):
            if len(last) >= length and tokens[start - length : start] == last[-length:]:
                return tuple(tokens[start : start + count])
    return ()


@given(tokens=_tokens, last=_tokens, count=st.integers(0, 5), cut=st.integers(0, 40))
def test_tokens_behind_the_latest_and_longest_run_follow(tokens, last, count, cut):
    ngrams = Ngrams((3, 2))
    ngrams.extend(tokens[:cut])
    ngrams.extend(tokens[cut:])
    assert ngrams.following(last, count) == latest_match(tokens, last, (3, 2), count)


@given(tokens=_tokens)
def test_a_text_does_not_follow_itself(tokens):
    ngrams = Ngrams((2,))
    ngrams.extend(tokens)
    drafted = ngrams.following(tokens, 3)
    occurred_before = any(tokens[start : start + 2] == tokens[-2:] for start in range(len(tokens) - 2))
    assert bool(drafted) == occurred_before


def test_a_repeated_line_is_drafted():
    ngrams = Ngrams((4, 3))
    ngrams.extend([1, 2, 3, 4, 5, 6, 9, 2, 3, 4])
    assert ngrams.following([9, 2, 3, 4], 3) == (5, 6, 9)
    assert ngrams.following([7, 7, 7], 3) == ()
