from __future__ import annotations

import pytest
from attrs import define, field

from fim_lsp.feedback.events import Origin
from fim_lsp.feedback.persistence import CHECKS_S
from fim_lsp.feedback.recorder import FeedbackRecorder
from fim_lsp.feedback.store import FeedbackStore
from fim_lsp.feedback.writer import FeedbackWriter

ORIGIN = Origin("0.1", "tiny", "", "python")
URI = "file:///a.py"
CODE = "def frobnicate(gizmo):\n    return "
SAID = "gizmo.frobnicated(twice)"


@define
class Timers:
    """Timers that run when told to."""

    waiting: list[tuple[float, object]] = field(factory=list)

    def later(self, delay_s, function):
        entry = (delay_s, function)
        self.waiting.append(entry)
        return lambda: entry in self.waiting and self.waiting.remove(entry)

    def run_next(self):
        entry = min(self.waiting, key=lambda one: one[0])
        self.waiting.remove(entry)
        entry[1]()


@pytest.fixture
def timers():
    return Timers()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "feedback.sqlite3"


@pytest.fixture
def recorder(path, timers):
    ticks = iter(range(100_000))
    return FeedbackRecorder(
        FeedbackWriter(lambda: path), lambda: float(next(ticks)), lambda: 86_400.0 * 3, timers.later
    )


def _accept(recorder: FeedbackRecorder) -> None:
    recorder.offered(URI, CODE, len(CODE), SAID, 0, origin=ORIGIN, latency_ms=7.0)
    recorder.edited(URI, CODE + SAID)
    recorder.accepted(URI, len(SAID))


def _read(path):
    store = FeedbackStore(path)
    try:
        return store.records(), store.written()
    finally:
        store.close()


async def test_an_acceptance_is_looked_at_four_times(recorder, timers, path):
    _accept(recorder)
    assert [delay_s for delay_s, _ in timers.waiting] == list(CHECKS_S)
    timers.run_next()
    recorder.edited(URI, CODE + "None")
    timers.run_next()
    await recorder.close()
    assert timers.waiting == []
    ((record,), (written,)) = _read(path)
    assert record.kept[30] == 1
    assert record.kept[120] < 0.3
    assert (record.kept[300], record.kept[600]) == (None, None)
    assert (record.latency_ms, record.outcome.kind) == (7.0, "accepted")
    assert (written.day, written.chars) == (3, len(SAID))


async def test_a_closed_document_leaves_its_looks_unknown_and_others_alone(recorder, timers, path):
    _accept(recorder)
    recorder.offered("file:///b.py", "", 0, "x = 1", 0, origin=ORIGIN, latency_ms=1.0)
    recorder.closed(URI)
    assert timers.waiting == []
    recorder.accepted(None, None)  # a menu's command names no document: the latest one is meant
    assert len(timers.waiting) == 4
    await recorder.close()
    records, _ = _read(path)
    assert [record.outcome.kind for record in records] == ["accepted", "accepted"]
    assert recorder.counts == {"accepted": 2}


async def test_pastes_are_not_written_code(recorder, path):
    recorder.offered(URI, CODE, len(CODE), "x", 0, origin=ORIGIN, latency_ms=1.0)
    recorder.edited(URI, CODE + "y" * 5)
    recorder.edited(URI, CODE + "y" * 5 + "z" * 500)
    recorder.edited(URI, CODE)
    await recorder.close()
    assert [one.chars for one in _read(path)[1]] == [5]


async def test_off_means_that_there_is_no_file(recorder, timers, path):
    recorder.enable(False)
    _accept(recorder)
    recorder.shown(URI)
    recorder.partly_accepted(URI, 3)
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
    recorder.offered(URI, CODE + SAID, len(CODE), "gizmo.other", 0, origin=ORIGIN, latency_ms=7.0)
    await recorder.close()
    assert len(_read(path)[0]) == 2
    content = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert b"python" in content
    for word in (b"gizmo", b"frobnicate", b"a.py", b"return"):
        assert word not in content
