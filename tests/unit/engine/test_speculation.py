"""When drafts are tried: a pure decision, from what they cost and how often they come true."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fim_lsp.engine.speculation import (
    ASSUMED_RATE,
    DRAFT_TOKENS,
    Acceptance,
    Speculator,
    decide,
    expected_tokens,
    pays,
)

rates = st.floats(0, 1)
MEASURED = decide("auto", 1.5)


@pytest.mark.parametrize(
    ("rate", "drafted", "tokens"), [(0, 3, 1), (1, 3, 4), (0.5, 1, 1.5), (0.5, 3, 1.875), (0.9, 0, 1)]
)
def test_tokens_that_a_decode_yields(rate, drafted, tokens):
    assert expected_tokens(rate, drafted) == pytest.approx(tokens)


@given(rate=rates, drafted=st.integers(1, DRAFT_TOKENS), ratio=st.floats(0.5, 8))
def test_a_draft_pays_where_it_is_worth_more_than_it_costs(rate, drafted, ratio):
    cost = 1 + (ratio - 1) * drafted / DRAFT_TOKENS
    assert pays(rate, drafted, ratio) == (sum(rate**at for at in range(drafted + 1)) > cost)
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
    ("setting", "ratio", "draft", "says"),
    [
        ("auto", 1.8, DRAFT_TOKENS, "on, as"),
        ("auto", 2.7, 0, "2.70"),
        ("auto", None, 0, "take back"),
        ("on", 0.0, DRAFT_TOKENS, "on by model.speculation"),
        ("on", None, 0, "take back"),
        ("off", None, 0, "off by model.speculation"),
    ],
)
def test_what_is_decided_at_load(setting, ratio, draft, says):
    decided = decide(setting, ratio)
    assert decided.draft_tokens == draft
    assert says in decided.reason


def test_the_rate_starts_at_the_assumption_and_follows_what_is_seen():
    assert Acceptance().rate == pytest.approx(ASSUMED_RATE)
    good = bad = Acceptance()
    for _ in range(50):
        good, bad = good.after(3, wrong=False), bad.after(0, wrong=True)
    assert good.rate > 0.9
    assert bad.rate < 0.3
    for _ in range(200):
        bad = bad.faded()
    assert bad.rate == pytest.approx(ASSUMED_RATE, abs=0.01)


def test_drafts_that_never_come_true_are_given_up_and_tried_again_later():
    speculator = Speculator(MEASURED)
    tried = []
    for _ in range(200):
        drafter = speculator.begin([1, 2, 3, 4, 1, 2, 3], ())
        tried.append(drafter is not None)
        if drafter is not None:
            for _ in range(4):
                drafter.judged((4, 1, 2), [9])
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


def test_only_tokens_up_to_the_first_wrong_one_are_judged():
    speculator = Speculator(decide("on", 0.0))
    drafter = speculator.begin([1], ())
    assert drafter is not None
    assert drafter.judged((1, 2, 3), [1, 9]) == 1
    assert speculator.acceptance == Acceptance(1, 2)
    # The answer ended within the draft: nothing was wrong.
    assert drafter.judged((1, 2, 3), [1, 2]) == 2
    assert speculator.acceptance == Acceptance(3, 4)
