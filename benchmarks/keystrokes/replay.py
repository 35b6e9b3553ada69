"""Replay a trace to a peer, and measure the answer to each event."""

from __future__ import annotations

import asyncio
import re
import time

from attrs import field, frozen

from benchmarks.keystrokes.peers import Peer, PeerAnswer
from benchmarks.keystrokes.traces import AcceptedPart, Event, EventKind, Trace
from fim_lsp.errors import FimLspError

_PATIENCE_S = 600.0
_WORD = re.compile(r"\s*(\w+|[^\w\s]+)")


class NoAnswerError(FimLspError):
    """A peer did not answer."""


@frozen
class EventResult:
    """The answer to an event."""

    kind: EventKind
    answer: PeerAnswer
    ahead: int = 0
    """Prompt tokens evaluated for the request before it was sent."""
    cancel_to_next_ms: float | None = None
    """Time from a key that was typed before the last answer came, to its own first token; None for others.

    These are the same keys for every peer, whether or not the request before was still running.
    """
    accepted_chars: int = 0
    """At an accept, the number of accepted characters of the last suggestion; 0 if there was none."""
    is_first: bool = False
    """True for the first request at a new place: after opening a file, a jump, or another file."""

    @property
    def evaluated(self) -> int:
        """All prompt tokens evaluated for the answer."""
        return self.answer.evaluated + self.ahead


@frozen
class Replay:
    """The results of a trace with a peer."""

    records: tuple[EventResult, ...] = field(repr=False)
    cpu_s: float
    """CPU seconds of the server's processes during the replay."""
    rss_mb: float
    """Their resident memory at the end, in megabytes."""


async def replay(peer: Peer, trace: Trace, *, pace: float = 1.0) -> Replay:
    """Replay every event at its time, and collect every answer.

    Args:
        peer: a server whose model is loaded.
        trace: the user's events.
        pace: factor of the user's pauses; 0 for none, if only counts matter.

    Raises:
        NoAnswerError: an answer did not come within ten minutes.
    """
    cpu_s = peer.processes.cpu_s()
    peer.open(trace.files)
    records: list[EventResult] = []
    running: _RunningRequest | None = None
    ahead, shown, at_new_place = 0, "", True
    for event in trace.events:
        if event.kind == "pause":
            ahead = await peer.idle(event.after_ms * pace)
            continue
        if event.kind == "look":
            await peer.look(event.after_ms * pace)
            continue
        await asyncio.sleep(event.after_ms * pace / 1000)
        text, cursor, accepted = _apply(event, shown)
        peer.move(event.file, text, cursor)
        if accepted:
            peer.accepted()
        if event.kind in ("jump", "switch"):
            # No editor asks for a suggestion here, and none is interrupted: the user has waited before.
            at_new_place = True
            continue
        is_hasty, started = running is not None, time.perf_counter()
        await _interrupt(running, records)
        running = _RunningRequest(
            asyncio.create_task(peer.suggest()),
            event.kind,
            (time.perf_counter() - started) * 1000,
            is_hasty,
            len(accepted),
            ahead if accepted else 0,
            at_new_place,
        )
        ahead, at_new_place = 0, False
        if event.waits:
            records.append(await running.record())
            shown, running = records[-1].answer.text, None
    return Replay(tuple(records), peer.processes.cpu_s() - cpu_s, peer.processes.rss_mb())


@frozen
class _RunningRequest:
    """A request without an answer yet."""

    task: asyncio.Task[PeerAnswer]
    kind: EventKind
    interrupt_ms: float
    """Time to interrupt the request before."""
    is_hasty: bool
    """True if the user did not wait for the answer before."""
    accepted_chars: int
    ahead: int
    is_first: bool

    async def record(self) -> EventResult:
        try:
            answer = await asyncio.wait_for(self.task, _PATIENCE_S)
        except asyncio.TimeoutError:
            raise NoAnswerError(
                f"A request was not answered in {_PATIENCE_S:.0f} s.",
                "Leave the slowest models or peers out.",
            ) from None
        cancel_to_next_ms = self.interrupt_ms + answer.ttft_ms if self.is_hasty else None
        return EventResult(
            self.kind, answer, self.ahead, cancel_to_next_ms, self.accepted_chars, self.is_first
        )


def accepted_part(suggestion: str, part: AcceptedPart) -> str:
    """Return the text that an editor inserts for all, the next line or the next word of a suggestion.

    ``" = read(path)"`` by word -> ``" ="``.
    """
    if part == "word":
        found = _WORD.match(suggestion)
        return found.group() if found else suggestion
    if part == "line":
        # A line break at the beginning is accepted together with the line behind it.
        end = suggestion.find("\n", 1)
        return suggestion if end < 0 else suggestion[:end]
    return suggestion


def _apply(event: Event, shown: str) -> tuple[str, int, str]:
    """Return text and cursor after an event, and the accepted part of the suggestion."""
    if event.kind != "accept":
        return event.text, event.cursor, ""
    accepted = accepted_part(shown, event.part)
    text = event.text[: event.cursor] + accepted + event.text[event.cursor :]
    return text, event.cursor + len(accepted), accepted


async def _interrupt(running: _RunningRequest | None, records: list[EventResult]) -> None:
    """Interrupt a request that is still running; collect the answer of one that is done."""
    if running is None:
        return
    if running.task.done():
        records.append(await running.record())
        return
    running.task.cancel()
    await asyncio.wait([running.task])
