"""One session's feedback: watches every document, looks again after acceptances, and hands numbers on.

Everything here runs on the event loop, takes microseconds and never fails a request; disks are the writer's
business. The texts that are needed meanwhile stay in memory.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence

from attrs import define, field, frozen

from fim_lsp.feedback.events import (
    Accepted,
    Closed,
    Edited,
    Event,
    NothingOffered,
    Offer,
    Offered,
    Origin,
    PartlyAccepted,
    Shown,
)
from fim_lsp.feedback.observation import Observation, Watch, step
from fim_lsp.feedback.persistence import CHECKS_S, kept
from fim_lsp.feedback.store import Record, Written, day_of
from fim_lsp.feedback.writer import FeedbackWriter

_MOST_TYPED_AT_ONCE = 40
"""Edits that add more characters, and are no acceptance, are pastes, formatters and branch switches."""

Cancel = Callable[[], None]
Later = Callable[[float, Callable[[], None]], Cancel]
"""Runs a function after so many seconds, unless cancelled."""


def later(delay_s: float, function: Callable[[], None]) -> Cancel:
    """Run a function on the running event loop after a delay; call the answer to cancel it."""
    return asyncio.get_running_loop().call_later(delay_s, function).cancel


@frozen
class _Check:
    """A look that is still to come."""

    uri: str
    suggestion: str
    after_s: int
    cancel: Cancel


@define
class _Document:
    """What is known of an open document in which something was offered."""

    text: str = field(repr=False)
    origin: Origin
    """Of its latest suggestion."""
    watch: Watch = field(factory=Watch)


class FeedbackRecorder:
    """Turns what handlers see into records. Lives on one asyncio loop."""

    def __init__(
        self,
        writer: FeedbackWriter,
        clock: Callable[[], float] = time.perf_counter,
        now: Callable[[], float] = time.time,
        run_later: Later = later,
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._now = now
        self._later = run_later
        self._documents: dict[str, _Document] = {}
        self._checks: list[_Check] = []
        self._written: Counter[tuple[int, Origin]] = Counter()
        self._client_tells = False
        self._latest = ""
        self._enabled = True
        self.counts: Counter[str] = Counter()
        """Outcomes by kind, in this session only."""

    def enable(self, enabled: bool) -> None:
        """Turn feedback on or off; off, what is not decided yet is forgotten."""
        self._enabled = enabled
        if not enabled:
            for check in self._checks:
                check.cancel()
            self._documents.clear()
            self._checks.clear()
            self._written.clear()

    def offered(
        self,
        uri: str,
        text: str,
        offset: int,
        suggestion: str,
        replaces: int,
        origin: Origin,
        latency_ms: float,
        others: Sequence[tuple[str, int]] = (),
    ) -> None:
        """An answer with ``suggestion`` for the cursor at ``offset`` of ``text`` is being sent.

        ``others`` are what the user may choose instead: texts, and how many characters each replaces.
        """
        if not self._enabled:
            return
        document = self._documents.setdefault(uri, _Document(text, origin))
        document.text, document.origin, self._latest = text, origin, uri
        offer = Offer.at(text, offset, suggestion, replaces)
        event = Offered(
            self._time(),
            offer,
            origin,
            latency_ms,
            shown=not self._client_tells,
            others=tuple(Offer.at(text, offset, other, replaced) for other, replaced in others),
        )
        self._step(uri, event)

    def nothing_offered(self, uri: str) -> None:
        """An answer without a suggestion is being sent."""
        self._step(uri, NothingOffered(self._time()))

    def edited(self, uri: str, text: str) -> None:
        """The document is now ``text``."""
        document = self._documents.get(uri)
        if document is None:
            return
        growth = len(text) - len(document.text)
        shown = len(document.watch.open.remaining) if document.watch.open else 0
        if 0 < growth <= max(_MOST_TYPED_AT_ONCE, shown):
            self._written[day_of(self._now()), document.origin] += growth
        document.text = text
        self._step(uri, Edited(self._time(), text))

    def shown(self, uri: str | None) -> None:
        """The client shows the suggestion; from now on it is believed to tell of every one."""
        self._client_tells = True
        self._step(uri, Shown(self._time()))

    def accepted(self, uri: str | None, chars: int | None) -> None:
        """The command of a suggestion of that length ran; None for the document of the latest one."""
        self._step(uri, Accepted(self._time(), chars))

    def partly_accepted(self, uri: str | None, chars: int, whole: int | None = None) -> None:
        """The client says that the first ``chars`` of the suggestion, ``whole`` long, were accepted."""
        self._step(uri, PartlyAccepted(self._time(), chars, whole))

    def closed(self, uri: str) -> None:
        """The document was closed: what is undecided ends, and what should be looked at stays unknown."""
        self._step(uri, Closed(self._time()))
        self._documents.pop(uri, None)
        for check in [check for check in self._checks if check.uri == uri]:
            self._give_up(check)
        self._flush()

    async def close(self) -> None:
        """End every observation and write what is left."""
        for uri in list(self._documents):
            self.closed(uri)
        await self._writer.close()

    def _time(self) -> float:
        return self._clock() * 1000

    def _step(self, uri: str | None, event: Event) -> None:
        uri = self._latest if uri is None else uri
        document = self._documents.get(uri)
        if document is None:
            return
        document.watch, decided = step(document.watch, event)
        for observed in decided:
            self._decided(uri, observed)

    def _decided(self, uri: str, observed: Observation) -> None:
        outcome = observed.outcome()
        self.counts[outcome.kind] += 1
        record = Record(uuid.uuid4().hex, int(self._now()), observed.origin, outcome, observed.latency_ms)
        self._writer.submit(lambda store: store.add(record))
        self._flush()
        if outcome.accepted_chars:
            text = observed.offer.text[: observed.progress]
            for after_s in CHECKS_S:
                self._look_later(uri, record.id, after_s, text, observed.offer.offset)

    def _look_later(self, uri: str, suggestion: str, after_s: int, accepted: str, offset: int) -> None:
        def look() -> None:
            self._checks.remove(check)
            text = self._documents[uri].text
            self._writer.submit(
                lambda store: store.note_kept(suggestion, after_s, kept(accepted, text, offset))
            )

        check = _Check(uri, suggestion, after_s, self._later(after_s, look))
        self._checks.append(check)

    def _give_up(self, check: _Check) -> None:
        check.cancel()
        self._checks.remove(check)
        self._writer.submit(lambda store: store.note_kept(check.suggestion, check.after_s, None))

    def _flush(self) -> None:
        """Hand on what was written since the last time."""
        written = [Written(day, origin, chars) for (day, origin), chars in self._written.items()]
        self._written.clear()
        if written:
            self._writer.submit(lambda store: store.add_written(written))
