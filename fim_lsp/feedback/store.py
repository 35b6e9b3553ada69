"""Keep outcomes in one SQLite file in the user's state folder, which several servers may share.

The file holds numbers, times, names of models and language ids; there is no column for code. Only ``fim-lsp
stats`` reads it. A connection belongs to the thread that opened it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeAlias

from attrs import field, frozen

from fim_lsp.errors import FimLspError
from fim_lsp.feedback.events import SuggestionOrigin
from fim_lsp.feedback.observation import SuggestionOutcome
from fim_lsp.paths import state_folder

logger = logging.getLogger(__name__)

_BUSY_S = 2.0
"""Seconds to wait for another server's write, which takes milliseconds. No request waits meanwhile."""
_MIGRATIONS = (
    """
    CREATE TABLE suggestion (
        id TEXT PRIMARY KEY,
        at INTEGER NOT NULL,
        server TEXT NOT NULL,
        model TEXT NOT NULL,
        adapter TEXT NOT NULL,
        language TEXT NOT NULL,
        outcome TEXT NOT NULL,
        latency_ms REAL NOT NULL,
        shown_ms REAL NOT NULL,
        offered_chars INTEGER NOT NULL,
        typed_chars INTEGER NOT NULL,
        accepted_chars INTEGER NOT NULL
    );
    CREATE TABLE persistence (
        suggestion TEXT NOT NULL REFERENCES suggestion (id) ON DELETE CASCADE,
        after_s INTEGER NOT NULL,
        kept REAL,
        PRIMARY KEY (suggestion, after_s)
    );
    CREATE TABLE written (
        day INTEGER NOT NULL,
        server TEXT NOT NULL,
        model TEXT NOT NULL,
        adapter TEXT NOT NULL,
        language TEXT NOT NULL,
        chars INTEGER NOT NULL,
        PRIMARY KEY (day, server, model, adapter, language)
    );
    """,
    """
    ALTER TABLE suggestion ADD COLUMN arm TEXT NOT NULL DEFAULT '';
    ALTER TABLE suggestion ADD COLUMN bucket INTEGER NOT NULL DEFAULT 0;
    """,
)
"""Each entry brings the schema from the version of its index to the next. Never change a released one."""
_DAY_S = 86_400

Connect: TypeAlias = Callable[..., sqlite3.Connection]
"""Connects to a database file, with the arguments of ``sqlite3.connect``."""


class FeedbackError(FimLspError):
    """The feedback file can't be used."""


@frozen
class SuggestionRecord:
    """One suggestion and what became of it."""

    id: str
    at: int
    """Seconds since the epoch when it was decided."""
    origin: SuggestionOrigin
    outcome: SuggestionOutcome
    latency_ms: float
    kept: dict[int, float | None] = field(factory=dict)
    """Fraction of the accepted text that was left, by seconds; None where it could not be measured."""


@frozen
class WrittenCharacters:
    """Characters typed or accepted on one day (of UTC, counted from the epoch)."""

    day: int
    origin: SuggestionOrigin
    chars: int


def feedback_path() -> Path:
    """Return the path of the file."""
    return state_folder() / "feedback.sqlite3"


def day_of(at: float) -> int:
    """Return the day of a time in seconds since the epoch."""
    return int(at // _DAY_S)


def date_of(day: int) -> date:
    """Return the date of a day (of UTC, counted from the epoch)."""
    return date(1970, 1, 1) + timedelta(days=day)


class FeedbackStore:
    """An open feedback file."""

    def __init__(self, path: Path, connect: Connect = sqlite3.connect) -> None:
        """Open the file. Make it or update its schema where needed; move a damaged one aside.

        Raises:
            FeedbackError: the file or its folder can't be read and written, or is from a newer version.
        """
        self.path = path
        with self._explained():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                self._connection = _open(path, connect)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                _move_aside(path)
                self._connection = _open(path, connect)

    def add(self, record: SuggestionRecord) -> None:
        """Add one suggestion."""
        origin, outcome = record.origin, record.outcome
        with self._writing():
            self._connection.execute(
                "INSERT INTO suggestion VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    record.id,
                    record.at,
                    *_key(origin),
                    outcome.kind,
                    record.latency_ms,
                    outcome.shown_ms,
                    outcome.suggestion_chars,
                    outcome.typed_chars,
                    outcome.accepted_chars,
                    origin.arm,
                    origin.bucket,
                ),
            )

    def add_persistence(self, suggestion_id: str, after_s: int, kept: float | None) -> None:
        """Add how much of a suggestion was left later. Do nothing if the suggestion was deleted meanwhile."""
        with self._writing():
            self._connection.execute(
                "INSERT OR REPLACE INTO persistence SELECT id, ?, ? FROM suggestion WHERE id = ?",
                (after_s, kept, suggestion_id),
            )

    def add_written(self, written: Iterable[WrittenCharacters]) -> None:
        """Add to the characters written."""
        with self._writing():
            self._connection.executemany(
                "INSERT INTO written VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET chars = chars + excluded.chars",
                [(line.day, *_key(line.origin), line.chars) for line in written],
            )

    def records(self) -> tuple[SuggestionRecord, ...]:
        """Return every suggestion, oldest first."""
        with self._explained():
            kept: dict[str, dict[int, float | None]] = {}
            for suggestion_id, after_s, fraction in self._connection.execute("SELECT * FROM persistence"):
                kept.setdefault(suggestion_id, {})[after_s] = fraction
            rows = self._connection.execute("SELECT * FROM suggestion ORDER BY at, rowid").fetchall()
        return tuple(_record(row, kept.get(row[0], {})) for row in rows)

    def written(self) -> tuple[WrittenCharacters, ...]:
        """Return the characters written, by day and origin."""
        with self._explained():
            rows = self._connection.execute("SELECT * FROM written ORDER BY day").fetchall()
        return tuple(WrittenCharacters(row[0], SuggestionOrigin(*row[1:5]), row[5]) for row in rows)

    def clear(self) -> int:
        """Delete everything, free the space on the disk, and return how many suggestions there were.

        Raises:
            FeedbackError: another server keeps the file busy, or it can't be written.
        """
        with self._writing():
            count = self._connection.execute("DELETE FROM suggestion").rowcount
            self._connection.execute("DELETE FROM persistence")
            self._connection.execute("DELETE FROM written")
        with self._explained():
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return count

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with self._explained(), self._connection:
            yield

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise FeedbackError(
                f"The feedback in {self.path} can't be used: {error}.",
                "Check the disk and the folder, point FIM_LSP_STATE elsewhere, or set feedback.enabled"
                " to false.",
            ) from error


def _is_damage(error: BaseException | None) -> bool:
    """Return whether SQLite reports a broken file, rather than a busy, full or unreachable one.

    Python 3.10 has no error codes yet. It raises the base class itself for a damaged file and for a file that
    is no database, and subclasses for everything else.
    """
    return type(error) is sqlite3.DatabaseError


def _open(path: Path, connect: Connect) -> sqlite3.Connection:
    connection = connect(path, timeout=_BUSY_S)
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")
        # Two servers that start together may fail to get the lock for this. Setting it once is enough for the
        # file.
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    if _version(connection) == len(_MIGRATIONS):
        return
    with connection:
        # The lock is taken before the version is read again, so that only one of two servers migrates.
        connection.execute("BEGIN IMMEDIATE")
        version = _version(connection)
        if version > len(_MIGRATIONS):
            raise FeedbackError(
                f"{path} was written by a newer fim-lsp.", "Update fim-lsp, or point FIM_LSP_STATE elsewhere."
            )
        for script in _MIGRATIONS[version:]:
            for statement in filter(str.strip, script.split(";")):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _move_aside(path: Path) -> None:
    """Rename a damaged file and the files that belong to it."""
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    for ending in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}{ending}", f"{aside}{ending}")
    logger.warning("The feedback in %s was damaged. It is now %s, and a new file was begun.", path, aside)


def _record(row: tuple[Any, ...], kept: dict[int, float | None]) -> SuggestionRecord:
    """Read a row of the table ``suggestion``."""
    suggestion_id, at, server, model, adapter, language = row[:6]
    kind, latency_ms, shown_ms, suggested, typed, accepted, arm, bucket = row[6:]
    origin = SuggestionOrigin(server, model, adapter, language, arm, bucket)
    outcome = SuggestionOutcome(kind, shown_ms, suggested, typed, accepted)
    return SuggestionRecord(suggestion_id, at, origin, outcome, latency_ms, kept)


def _key(origin: SuggestionOrigin) -> tuple[str, str, str, str]:
    return origin.server, origin.model, origin.adapter, origin.language
