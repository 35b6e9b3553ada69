"""Record the feedback of one session: watch its documents, measure persistence later, count.

Everything here runs on the event loop, takes microseconds and never fails a request. Only the writer touches
the disk. The texts that are needed meanwhile stay in memory.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence

from attrs import define, field, frozen

from fim_lsp.feedback.events import (
    DocumentClosed,
    DocumentEdited,
    EmptyAnswerSent,
    Event,
    PlacedSuggestion,
    SuggestionAccepted,
    SuggestionDismissed,
    SuggestionOrigin,
    SuggestionPartlyAccepted,
    SuggestionSent,
    SuggestionShown,
)
from fim_lsp.feedback.observation import Observation, Undecided, step
from fim_lsp.feedback.persistence import CHECKS_S, kept_fraction
from fim_lsp.feedback.store import SuggestionRecord, WrittenCharacters, day_of
from fim_lsp.feedback.writer import FeedbackWriter
from fim_lsp.timers import CancelTimer, RunLater, run_later

_MOST_TYPED_AT_ONCE = 40
"""Edits that add more characters, and accept no suggestion, are pastes, formatters and branch switches."""


@frozen
class _PersistenceCheck:
    """A measurement of what is left of an accepted text, still to come."""

    uri: str
    suggestion_id: str
    after_s: int
    cancel: CancelTimer


@define
class _WatchedDocument:
    """An open document for which a suggestion was sent."""

    text: str = field(repr=False)
    origin: SuggestionOrigin
    """Of its latest suggestion."""
    undecided: Undecided = field(factory=Undecided)


class FeedbackRecorder:
    """Turns what the handlers see into records. Lives on one asyncio loop.

    Args:
        writer: Keeps the records.
        clock: Seconds of a clock that never goes back, for durations.
        now: Seconds since the epoch, for dates.
        run_later: Starts a timer.
    """

    def __init__(
        self,
        writer: FeedbackWriter,
        clock: Callable[[], float] = time.perf_counter,
        now: Callable[[], float] = time.time,
        run_later: RunLater = run_later,
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._now = now
        self._run_later = run_later
        self._documents: dict[str, _WatchedDocument] = {}
        self._checks: list[_PersistenceCheck] = []
        self._written: Counter[tuple[int, SuggestionOrigin]] = Counter()
        self._client_reports_shown = False
        self._latest_uri = ""
        self._enabled = True
        self.counts: Counter[str] = Counter()
        """Outcomes by kind, in this session alone."""

    def enable(self, enabled: bool) -> None:
        """Turn feedback on or off. Turning it off drops what is not decided yet."""
        self._enabled = enabled
        if not enabled:
            for check in self._checks:
                check.cancel()
            self._documents.clear()
            self._checks.clear()
            self._written.clear()

    def suggestion_sent(
        self,
        uri: str,
        text: str,
        offset: int,
        suggestion: str,
        replaced_chars: int,
        origin: SuggestionOrigin,
        latency_ms: float,
        alternatives: Sequence[tuple[str, int]] = (),
    ) -> None:
        """Note that an answer is sent, with ``suggestion`` for the cursor at ``offset`` of ``text``.

        ``alternatives`` are what the user may choose instead: texts, and how many characters each replaces.
        """
        if not self._enabled:
            return
        document = self._documents.setdefault(uri, _WatchedDocument(text, origin))
        document.text, document.origin, self._latest_uri = text, origin, uri
        event = SuggestionSent(
            self._time_ms(),
            PlacedSuggestion.at(text, offset, suggestion, replaced_chars),
            origin,
            latency_ms,
            shown=not self._client_reports_shown,
            alternatives=tuple(
                PlacedSuggestion.at(text, offset, other, replaced) for other, replaced in alternatives
            ),
        )
        self._step(uri, event)

    def empty_answer_sent(self, uri: str) -> None:
        """Note that an answer without a suggestion is sent."""
        self._step(uri, EmptyAnswerSent(self._time_ms()))

    def document_edited(self, uri: str, text: str) -> None:
        """Note that a document is now ``text``."""
        document = self._documents.get(uri)
        if document is None:
            return
        growth = len(text) - len(document.text)
        shown = document.undecided.shown
        shown_chars = len(shown.remaining) if shown is not None else 0
        if 0 < growth <= max(_MOST_TYPED_AT_ONCE, shown_chars):
            self._written[day_of(self._now()), document.origin] += growth
        document.text = text
        self._step(uri, DocumentEdited(self._time_ms(), text))

    def suggestion_shown(self, uri: str | None) -> None:
        """Note that the client shows the suggestion. From now on it is expected to report each one."""
        self._client_reports_shown = True
        self._step(uri, SuggestionShown(self._time_ms()))

    def suggestion_accepted(self, uri: str | None, chars: int | None) -> None:
        """Note that the command of a suggestion of that length ran.

        ``uri`` is None for the document of the latest suggestion.
        """
        self._step(uri, SuggestionAccepted(self._time_ms(), chars))

    def suggestion_partly_accepted(self, uri: str | None, chars: int, whole_chars: int | None = None) -> None:
        """Note that the client accepted the first ``chars`` of a suggestion of ``whole_chars``."""
        self._step(uri, SuggestionPartlyAccepted(self._time_ms(), chars, whole_chars))

    def suggestion_dismissed(self, uri: str | None) -> None:
        """Note that the user dismissed the suggestion."""
        self._step(uri, SuggestionDismissed(self._time_ms()))

    def document_closed(self, uri: str) -> None:
        """End the document's observations. Its checks that are still to come stay unknown."""
        self._step(uri, DocumentClosed(self._time_ms()))
        self._documents.pop(uri, None)
        for check in [check for check in self._checks if check.uri == uri]:
            self._give_up(check)
        self._write_written()

    async def close(self) -> None:
        """End every observation and write what is left."""
        for uri in list(self._documents):
            self.document_closed(uri)
        await self._writer.close()

    def _time_ms(self) -> float:
        return self._clock() * 1000

    def _step(self, uri: str | None, event: Event) -> None:
        uri = self._latest_uri if uri is None else uri
        document = self._documents.get(uri)
        if document is None:
            return
        document.undecided, decided = step(document.undecided, event)
        for observation in decided:
            self._record(uri, observation)

    def _record(self, uri: str, observation: Observation) -> None:
        outcome = observation.outcome()
        self.counts[outcome.kind] += 1
        record = SuggestionRecord(
            uuid.uuid4().hex, int(self._now()), observation.origin, outcome, observation.latency_ms
        )
        self._writer.submit(lambda store: store.add(record))
        self._write_written()
        if outcome.accepted_chars:
            suggestion = observation.suggestion
            text = suggestion.text[: observation.inserted_chars]
            for after_s in CHECKS_S:
                self._check_later(uri, record.id, after_s, text, suggestion.offset)

    def _check_later(self, uri: str, suggestion_id: str, after_s: int, accepted: str, offset: int) -> None:
        def measure() -> None:
            self._checks.remove(check)
            text = self._documents[uri].text
            self._writer.submit(
                lambda store: store.add_persistence(
                    suggestion_id, after_s, kept_fraction(accepted, text, offset)
                )
            )

        check = _PersistenceCheck(uri, suggestion_id, after_s, self._run_later(after_s, measure))
        self._checks.append(check)

    def _give_up(self, check: _PersistenceCheck) -> None:
        check.cancel()
        self._checks.remove(check)
        self._writer.submit(lambda store: store.add_persistence(check.suggestion_id, check.after_s, None))

    def _write_written(self) -> None:
        """Hand the characters written since the last call to the writer."""
        written = [WrittenCharacters(day, origin, chars) for (day, origin), chars in self._written.items()]
        self._written.clear()
        if written:
            self._writer.submit(lambda store: store.add_written(written))
