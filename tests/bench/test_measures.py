"""Figures from records."""

from __future__ import annotations

import pytest

from benchmarks.keystrokes.measures import RunConditions, Spread, condense, ratios
from benchmarks.keystrokes.peers import PeerAnswer
from benchmarks.keystrokes.replay import EventResult, Replay


def typed(ttft_ms: float, evaluated: int, **given) -> EventResult:
    return EventResult("type", PeerAnswer("", ttft_ms, ttft_ms + 10, evaluated), **given)


def run(peer: str, *records: EventResult, cpu_s: float = 1.0):
    return condense(RunConditions(peer, "model", 1024, False), [Replay(records, cpu_s, 100.0)])


def test_a_run_has_medians_and_tails_of_what_was_answered():
    records = [typed(ms, evaluated=ms // 10) for ms in range(10, 110, 10)]
    found = run("fim-lsp", *records, EventResult("switch", PeerAnswer("", 1000, 1000, 500)))
    assert found.ttft_ms == Spread(60.0, 550.0)
    assert found.evaluated_per_keystroke.p50 == 5.5
    assert found.answers == 11


def test_the_first_token_at_a_new_place_is_apart_from_typing_on():
    first = EventResult("type", PeerAnswer("", 900, 950, 500), is_first=True)
    found = run("fim-lsp", first, *(typed(ms, 1) for ms in (20, 30, 40)))
    assert found.cold_ttft_ms == Spread(900.0, 900.0)
    assert found.warm_ttft_ms.p50 == 30.0
    slower = run("infill", EventResult("type", PeerAnswer("", 1800, 1900, 500), is_first=True), typed(60, 9))
    (row,) = ratios([found, slower])
    assert (row["cold_ttft"], row["warm_ttft"]) == (2.0, 2.0)


def test_an_accept_counts_by_what_was_taken_and_what_it_cost():
    records = [
        EventResult("accept", PeerAnswer("", 1, 1, 3), accepted_chars=20),
        EventResult("accept", PeerAnswer("", 1, 1, 1), ahead=4, accepted_chars=30),
        EventResult("accept", PeerAnswer("", 1, 1, 90)),
    ]
    found = run("infill", *records, cpu_s=5.0)
    assert found.prefilled_after_accept == 4
    assert found.cpu_s_per_accepted_char == 0.1
    assert found.accepted_chars == 50


def test_what_was_remembered_says_nothing_of_the_first_token_but_is_shown():
    remembered = EventResult("type", PeerAnswer("text", 0.1, 0.1, 0, remembered=True))
    found = run("fim-lsp", typed(40, 1), remembered)
    assert (found.ttft_ms.p50, found.shown_ms.p50) == (40.0, 25.05)
    assert (found.answers, found.remembered) == (2, 1)
    assert found.evaluated_per_keystroke.p50 == 0.5


def test_what_was_never_seen_is_none_not_zero():
    found = run("completion", typed(1, 1))
    assert found.cancel_to_next_ms == Spread(None, None)
    assert found.prefilled_after_accept is None
    assert found.cpu_s_per_accepted_char is None


def test_ratios_compare_medians_under_the_same_conditions():
    ours = run("fim-lsp", typed(20, 1, cancel_to_next_ms=10.0))
    theirs = run("infill", typed(500, 250, cancel_to_next_ms=200.0))
    (row,) = ratios([ours, theirs])
    assert (row["peer"], row["ttft"], row["cancel_to_next"]) == ("infill", 25.0, 20.0)
    elsewhere = condense(RunConditions("infill", "model", 2048, False), [Replay((typed(1, 1),), 1.0, 1.0)])
    assert ratios([ours, elsewhere]) == []


@pytest.mark.parametrize("values", [[3], [3, 3]])
def test_one_value_is_its_own_median_and_tail(values):
    assert Spread.of(values) == Spread(3.0, 3.0)
