from __future__ import annotations

import pytest

from fim_lsp.feedback.events import SuggestionOrigin
from fim_lsp.feedback.persistence import CHECKS_S
from fim_lsp.feedback.recorder import FeedbackRecorder
from fim_lsp.feedback.store import FeedbackStore
from fim_lsp.feedback.writer import FeedbackWriter
from tests.manual_timers import ManualTimers

ORIGIN = SuggestionOrigin("0.1", "tiny", "", "python")
URI = "file:///a.py"
CODE = "def frobnicate(gizmo):\n    return "
SUGGESTION = "gizmo.frobnicated(twice)"


@pytest.fixture
def timers():
    return ManualTimers()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "feedback.sqlite3"


@pytest.fixture
def recorder(path, timers):
    ticks = iter(range(100_000))
    return FeedbackRecorder(
        FeedbackWriter(lambda: FeedbackStore(path)),
        lambda: float(next(ticks)),
        lambda: 86_400.0 * 3,
        timers.run_later,
    )


def _accept(recorder: FeedbackRecorder) -> None:
    recorder.suggestion_sent(URI, CODE, len(CODE), SUGGESTION, 0, origin=ORIGIN, latency_ms=7.0)
    recorder.document_edited(URI, CODE + SUGGESTION)
    recorder.suggestion_accepted(URI, len(SUGGESTION))


def _read(path):
    store = FeedbackStore(path)
    try:
        return store.records(), store.written()
    finally:
        store.close()


async def test_an_acceptance_is_measured_four_times(recorder, timers, path):
    _accept(recorder)
    assert timers.delays_s == list(CHECKS_S)
    timers.run_next()
    recorder.document_edited(URI, CODE + "None")
    timers.run_next()
    await recorder.close()
    assert timers.waiting == []
    ((record,), (written,)) = _read(path)
    assert record.kept[30] == 1
    assert record.kept[120] < 0.3
    assert (record.kept[300], record.kept[600]) == (None, None)
    assert (record.latency_ms, record.outcome.kind) == (7.0, "accepted")
    assert (written.day, written.chars) == (3, len(SUGGESTION))


async def test_a_closed_document_leaves_its_checks_unknown_and_others_alone(recorder, timers, path):
    _accept(recorder)
    recorder.suggestion_sent("file:///b.py", "", 0, "x = 1", 0, origin=ORIGIN, latency_ms=1.0)
    recorder.document_closed(URI)
    assert timers.waiting == []
    recorder.suggestion_accepted(None, None)  # a menu's command names no document: the latest one is meant
    assert len(timers.waiting) == 4
    await recorder.close()
    records, _ = _read(path)
    assert [record.outcome.kind for record in records] == ["accepted", "accepted"]
    assert recorder.counts == {"accepted": 2}


async def test_pastes_are_not_written_code(recorder, path):
    recorder.suggestion_sent(URI, CODE, len(CODE), "x", 0, origin=ORIGIN, latency_ms=1.0)
    recorder.document_edited(URI, CODE + "y" * 5)
    recorder.document_edited(URI, CODE + "y" * 5 + "z" * 500)
    recorder.document_edited(URI, CODE)
    await recorder.close()
    assert [line.chars for line in _read(path)[1]] == [5]


async def test_off_means_that_there_is_no_file(recorder, timers, path):
    recorder.enable(False)
    _accept(recorder)
    recorder.suggestion_shown(URI)
    recorder.suggestion_partly_accepted(URI, 3)
    await recorder.close()
    assert not path.exists()
    assert recorder.counts == {}


async def test_turned_off_what_was_pending_is_forgotten(recorder, timers, path):
    _accept(recorder)
    recorder.enable(False)
    assert timers.waiting == []
    await recorder.close()
    ((record,), _) = _read(path)
    assert record.kept == {}


async def test_nothing_of_the_code_is_in_the_file(recorder, timers, path):
    _accept(recorder)
    while timers.waiting:
        timers.run_next()
    recorder.suggestion_sent(
        URI, CODE + SUGGESTION, len(CODE), "gizmo.other", 0, origin=ORIGIN, latency_ms=7.0
    )
    await recorder.close()
    assert len(_read(path)[0]) == 2
    content = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert b"python" in content
    for word in (b"gizmo", b"frobnicate", b"a.py", b"return"):
        assert word not in content
