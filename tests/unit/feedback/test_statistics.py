from __future__ import annotations

import pytest

from fim_lsp.feedback.events import SuggestionOrigin
from fim_lsp.feedback.observation import SuggestionOutcome
from fim_lsp.feedback.statistics import Persistence, summarize
from fim_lsp.feedback.store import SuggestionRecord, WrittenCharacters

PLAIN = SuggestionOrigin("0.1", "tiny", "", "python")
TUNED = SuggestionOrigin("0.1", "tiny", "mine", "go")


def _record(kind, origin=PLAIN, *, shown=800.0, accepted=0, latency=100.0, kept=None, at=0):
    return SuggestionRecord(
        "x", at, origin, SuggestionOutcome(kind, shown, 20, 0, accepted), latency, kept or {}
    )


def test_nothing_counted_has_no_rates():
    total = summarize((), ()).total
    assert (total.offered, total.acceptance, total.completed_ratio) == (0, None, None)
    assert (total.latency_p50_ms, total.persistence[30].rate) == (None, None)


def test_acceptance_is_of_those_seen():
    total = summarize(
        [
            _record("accepted", accepted=20),
            _record("partly_accepted", accepted=5),
            _record("typed"),
            _record("rejected", shown=750.0),
            _record("rejected", shown=749.9),
            _record("accepted", shown=10.0, accepted=20),
        ],
        (),
    ).total
    assert (total.offered, total.seen, total.acceptance) == (6, 4, 0.5)
    assert (total.accepted, total.partly_accepted, total.typed, total.rejected) == (2, 1, 1, 2)
    assert total.chars_saved == 45


def test_persistence_leaves_out_what_was_not_measured():
    records = [
        _record("accepted", kept={30: 1.0, 120: 2 / 3}),
        _record("accepted", kept={30: 0.66, 120: None}),
        _record("accepted"),
    ]
    persistence = summarize(records, ()).total.persistence
    assert persistence[30] == Persistence(2, 1)
    assert persistence[120] == Persistence(1, 1)
    assert persistence[600].rate is None


def test_groups_come_largest_first_with_what_was_written_in_them():
    records = [_record("accepted", TUNED, accepted=10, at=86_400), _record("rejected"), _record("typed")]
    written = [
        WrittenCharacters(0, PLAIN, 30),
        WrittenCharacters(1, TUNED, 40),
        WrittenCharacters(2, TUNED, 10),
    ]
    summary = summarize(records, written)
    assert list(summary.by_language) == ["python", "go"]
    assert list(summary.by_model) == ["tiny", "tiny + mine"]
    assert summary.by_model["tiny + mine"].completed_ratio == 0.2
    assert summary.total.completed_ratio == 10 / 80
    assert summary.saved_by_day == {0: 0, 1: 10}


def test_latency_percentiles():
    total = summarize([_record("typed", latency=float(ms)) for ms in range(101)], ()).total
    assert (total.latency_p50_ms, total.latency_p95_ms) == (50.0, pytest.approx(95.0))


def test_the_kept_rate_weighs_the_accepted_characters_by_what_is_left_of_them():
    records = [
        _record("accepted", accepted=30, kept={30: 1.0, 120: 0.5, 300: None}),
        _record("accepted", accepted=10, kept={30: 1.0}),
        _record("accepted", accepted=50, kept={30: None}),
        _record("rejected"),
    ]
    assert summarize(records, ()).total.kept_rate == pytest.approx((15 + 10) / 40)
    assert summarize((), ()).total.kept_rate is None
