from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from fim_lsp.feedback.events import SuggestionOrigin
from fim_lsp.feedback.observation import SuggestionOutcome
from fim_lsp.feedback.store import (
    FeedbackError,
    FeedbackStore,
    SuggestionRecord,
    WrittenCharacters,
    feedback_path,
)
from fim_lsp.feedback.writer import FeedbackWriter

ORIGIN = SuggestionOrigin("0.1", "tiny", "mine", "python")
RECORD = SuggestionRecord("a", 1_700_000_000, ORIGIN, SuggestionOutcome("accepted", 900.5, 12, 2, 10), 42.5)
_WRITE = """
import sys
from pathlib import Path
from attrs import evolve
from fim_lsp.feedback.store import FeedbackStore, WrittenCharacters
from tests.unit.feedback.test_store import ORIGIN, RECORD
store = FeedbackStore(Path(sys.argv[1]))
for number in range(100):
    store.add(evolve(RECORD, id=f"{sys.argv[2]}-{number}"))
    store.add_written([WrittenCharacters(1, ORIGIN, 3)])
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "feedback.sqlite3"


@pytest.fixture
def store(path):
    opened = FeedbackStore(path)
    yield opened
    opened.close()


def test_records_are_read_again(path, store):
    store.add(RECORD)
    store.add_persistence("a", 30, 0.75)
    store.add_persistence("a", 120, None)
    for _ in range(2):
        store.add_written([WrittenCharacters(19675, ORIGIN, 7)])
    again = FeedbackStore(path)
    (record,) = again.records()
    assert record.kept == {30: 0.75, 120: None}
    assert (record.outcome, record.origin, record.latency_ms) == (RECORD.outcome, ORIGIN, 42.5)
    assert again.written() == (WrittenCharacters(19675, ORIGIN, 14),)
    again.close()


def test_clear_deletes_and_a_late_measurement_is_dropped(path, store):
    for number in range(500):
        store.add(SuggestionRecord(f"{number}", 1, ORIGIN, RECORD.outcome, 1.0))
    store.add_written([WrittenCharacters(1, ORIGIN, 7)])
    before = path.stat().st_size + path.with_name(f"{path.name}-wal").stat().st_size
    assert store.clear() == 500
    store.add_persistence("7", 30, 1.0)
    assert (store.records(), store.written()) == ((), ())
    assert path.stat().st_size < before / 2


def test_two_processes_write_at_once(path):
    command = [sys.executable, "-c", _WRITE, str(path)]
    root = Path(__file__).parents[3]
    writers = [subprocess.Popen([*command, name], stderr=subprocess.PIPE, cwd=root) for name in "xy"]
    for writer in writers:
        _, errors = writer.communicate(timeout=240)
        assert (writer.returncode, errors) == (0, b"")
    store = FeedbackStore(path)
    assert len(store.records()) == 200
    assert store.written() == (WrittenCharacters(1, ORIGIN, 600),)
    store.close()


def _no_database(path):
    path.write_bytes(b"this is no database" * 100)


def _torn_page(path):
    FeedbackStore(path).close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [_no_database, _torn_page])
def test_a_damaged_file_is_moved_aside_and_named(path, damage, caplog):
    path.parent.mkdir()
    damage(path)
    damaged = path.read_bytes()
    store = FeedbackStore(path)
    store.add(RECORD)
    assert len(store.records()) == 1
    store.close()
    (aside,) = path.parent.glob("*.damaged-*")
    assert aside.read_bytes() == damaged
    assert str(aside) in caplog.text


def test_a_file_of_a_newer_version_is_left_alone(path, store):
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(FeedbackError, match="newer"):
        FeedbackStore(path)
    assert not list(path.parent.glob("*.damaged-*"))


def test_the_folder_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("FIM_LSP_STATE", str(tmp_path))
    assert feedback_path() == tmp_path / "feedback.sqlite3"


# --- The writer: a failing disk is reported once, and delays no answer


def _unusable(path):
    path.parent.write_text("a file where the folder should be")


async def test_a_folder_that_can_not_be_written_is_reported_once(path, caplog):
    _unusable(path)
    writer = FeedbackWriter(lambda: FeedbackStore(path))
    for _ in range(3):
        writer.submit(lambda store: store.add(RECORD))
    await writer.close()
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "FIM_LSP_STATE" in warnings[0].getMessage()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_readonly_folder_is_silent(tmp_path, caplog):
    tmp_path.chmod(0o500)
    writer = FeedbackWriter(lambda: FeedbackStore(tmp_path / "feedback.sqlite3"))
    writer.submit(lambda store: store.add(RECORD))
    await writer.close()
    assert len(caplog.records) == 1


async def test_a_full_disk_loses_what_does_not_fit_and_the_rest_goes_on(path, caplog):
    limits = iter([10])

    def connect(*arguments, **options) -> sqlite3.Connection:
        connection = sqlite3.connect(*arguments, **options)
        if (pages := next(limits, None)) is not None:
            connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    def fill(store: FeedbackStore) -> None:
        for number in range(1000):
            store.add(SuggestionRecord(f"{number}", 1, ORIGIN, RECORD.outcome, 1.0))

    writer = FeedbackWriter(lambda: FeedbackStore(path, connect))
    writer.submit(fill)
    writer.submit(lambda store: store.add(RECORD))
    await writer.close()
    assert "full" in caplog.text
    store = FeedbackStore(path)
    assert store.records()[-1].id == "a"
    store.close()


async def test_a_file_damaged_while_it_is_open_is_begun_anew(path):
    writer = FeedbackWriter(lambda: FeedbackStore(path))
    writer.submit(lambda store: store.add(RECORD)).result(60)

    def damage(store: FeedbackStore) -> None:
        store.close()
        _no_database(path)
        raise FeedbackError("damaged")

    writer.submit(damage)
    writer.submit(lambda store: store.add(RECORD))
    await writer.close()
    store = FeedbackStore(path)
    assert len(store.records()) == 1
    store.close()
    assert len(list(path.parent.glob("*.damaged-*"))) == 1
