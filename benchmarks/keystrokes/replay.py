"""Plays a trace to a peer and notes what each act of the user cost."""

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
    """What became of one event that was answered."""

    kind: EventKind
    answer: PeerAnswer
    ahead: int = 0
    """Prompt tokens evaluated before the request for its sake."""
    cancel_to_next_ms: float | None = None
    """From a key that did not wait for the answer to the one before, to its first token; None elsewhere.

    The same keys of a trace for every peer, whether or not the request before was still running.
    """
    accepted_chars: int = 0
    """Characters taken of the suggestion before, at an accept; 0 where there was none to take."""

    @property
    def evaluated(self) -> int:
        """Prompt tokens evaluated in all."""
        return self.answer.evaluated + self.ahead


@frozen
class Replay:
    """One trace played to one peer."""

    records: tuple[EventResult, ...] = field(repr=False)
    cpu_s: float
    """CPU seconds that the server's processes spent meanwhile."""
    rss_mb: float
    """Their resident memory at the end."""


async def replay(peer: Peer, trace: Trace, *, pace: float = 1.0) -> Replay:
    """Play every event in its time and note every answer.

    Args:
        peer: a server whose model is loaded.
        trace: what the user does.
        pace: factor of the user's own pauses; 0 for none, where only counts matter.

    Raises:
        NoAnswerError: an answer did not come in ten minutes.
    """
    cpu_s = peer.processes.cpu_s()
    peer.open(trace.files)
    records: list[EventResult] = []
    running: _Running | None = None
    ahead, shown = 0, ""
    for event in trace.events:
        if event.kind == "pause":
            ahead = await peer.idle(event.after_ms * pace)
            continue
        await asyncio.sleep(event.after_ms * pace / 1000)
        text, cursor, taken = _after(event, shown)
        peer.move(event.file, text, cursor)
        if taken:
            peer.accepted()
        hasty, left_at = running is not None, time.perf_counter()
        await _leave(running, records)
        running = _Running(
            asyncio.create_task(peer.suggest()),
            event.kind,
            (time.perf_counter() - left_at) * 1000,
            hasty,
            len(taken),
            ahead if taken else 0,
        )
        ahead = 0
        if event.waits:
            records.append(await running.record())
            shown, running = records[-1].answer.text, None
    return Replay(tuple(records), peer.processes.cpu_s() - cpu_s, peer.processes.rss_mb())


@frozen
class _Running:
    """A request on its way, and what is known of it before its answer."""

    task: asyncio.Task[PeerAnswer]
    kind: EventKind
    late_ms: float
    """What it took to leave the request before."""
    hasty: bool
    """Whether the user did not wait for the one before."""
    taken_chars: int
    ahead: int

    async def record(self) -> EventResult:
        try:
            answer = await asyncio.wait_for(self.task, _PATIENCE_S)
        except asyncio.TimeoutError:
            raise NoAnswerError(
                f"A request was not answered in {_PATIENCE_S:.0f} s.",
                "Leave the slowest models or peers out.",
            ) from None
        since = self.late_ms + answer.ttft_ms if self.hasty else None
        return EventResult(self.kind, answer, self.ahead, since, self.taken_chars)


def part_of(suggestion: str, part: AcceptedPart) -> str:
    """What an editor inserts when the user takes all, the next line or the next word of a suggestion."""
    if part == "word":
        found = _WORD.match(suggestion)
        return found.group() if found else suggestion
    if part == "line":
        # A suggestion that begins with a line break gives that and the line after it.
        end = suggestion.find("\n", 1)
        return suggestion if end < 0 else suggestion[:end]
    return suggestion


def _after(event: Event, shown: str) -> tuple[str, int, str]:
    """The file and cursor after an event, and what of the suggestion was taken."""
    if event.kind != "accept":
        return event.text, event.cursor, ""
    taken = part_of(shown, event.part)
    text = event.text[: event.cursor] + taken + event.text[event.cursor :]
    return text, event.cursor + len(taken), taken


async def _leave(running: _Running | None, records: list[EventResult]) -> None:
    """Interrupt a request that still runs; one that was answered is noted like any other."""
    if running is None:
        return
    if running.task.done():
        records.append(await running.record())
        return
    running.task.cancel()
    await asyncio.wait([running.task])
