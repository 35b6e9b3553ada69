"""From what was seen to the figures that are compared: pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from attrs import asdict, frozen

from benchmarks.keystrokes.peers import PeerName
from benchmarks.keystrokes.replay import EventResult, Replay


@frozen
class RunConditions:
    """Under which a trace was played, and to whom."""

    peer: PeerName
    model: str
    file_tokens: int
    busy: bool


@frozen
class Spread:
    """A median and a tail; None where nothing was measured."""

    p50: float | None
    p95: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The median and the 95th percentile, linear between neighbours."""
        if not values:
            return cls(None, None)
        p50, p95 = np.percentile(values, (50, 95))
        return cls(round(float(p50), 2), round(float(p95), 2))


@frozen
class PeerRun:
    """All traces of one peer under the same conditions."""

    peer: PeerName
    model: str
    file_tokens: int
    busy: bool
    ttft_ms: Spread
    """Over every answer that the model had to be asked for."""
    delay_ms: Spread
    """The part of it that the peer waited on purpose, for a further keystroke."""
    shown_ms: Spread
    """Over every answer, those from memory too."""
    cancel_to_next_ms: Spread
    """From a key that did not wait for the answer to the one before, to its first token."""
    evaluated_per_keystroke: Spread
    """Prompt tokens, over the characters typed."""
    prefilled_after_accept: float | None
    """Median of the prompt tokens evaluated to be ready after an accept, ahead of it or after it."""
    cpu_s_per_accepted_char: float | None
    """CPU seconds of the server, over the characters of its suggestions that were taken."""
    cpu_s: float
    accepted_chars: int
    answers: int
    remembered: int
    """Answers from memory: typed into a suggestion, or back where one was made."""
    rss_mb: float


def condense(conditions: RunConditions, replays: Sequence[Replay]) -> PeerRun:
    """One row of the results."""
    records = [record for one in replays for record in one.records]
    cpu_s = sum(one.cpu_s for one in replays)
    asked = [record.answer for record in records if not record.answer.remembered]
    accepted = sum(record.accepted_chars for record in records)
    after_accept = [record.evaluated for record in records if record.accepted_chars]
    return PeerRun(
        **asdict(conditions),
        ttft_ms=Spread.of([answer.ttft_ms for answer in asked]),
        delay_ms=Spread.of([answer.delay_ms for answer in asked]),
        shown_ms=Spread.of([record.answer.shown_ms for record in records]),
        cancel_to_next_ms=Spread.of(_known(record.cancel_to_next_ms for record in records)),
        evaluated_per_keystroke=Spread.of(keystrokes(records)),
        prefilled_after_accept=statistics.median(after_accept) if after_accept else None,
        cpu_s_per_accepted_char=round(cpu_s / accepted, 4) if accepted else None,
        cpu_s=round(cpu_s, 2),
        accepted_chars=accepted,
        answers=len(records),
        remembered=len(records) - len(asked),
        rss_mb=round(max(one.rss_mb for one in replays), 1),
    )


def keystrokes(records: Iterable[EventResult]) -> list[int]:
    """Prompt tokens evaluated for each character typed."""
    return [record.evaluated for record in records if record.kind == "type"]


def ratios(runs: Sequence[PeerRun], ours: PeerName = "fim-lsp") -> list[dict[str, Any]]:
    """For every other peer's run: how many times ours it took, median by median."""
    of_ours = {(run.model, run.file_tokens, run.busy): run for run in runs if run.peer == ours}
    return [
        {
            "peer": run.peer,
            "model": run.model,
            "file_tokens": run.file_tokens,
            "busy": run.busy,
            "ttft": _ratio(run.ttft_ms, mine.ttft_ms),
            "shown": _ratio(run.shown_ms, mine.shown_ms),
            "cancel_to_next": _ratio(run.cancel_to_next_ms, mine.cancel_to_next_ms),
        }
        for run in runs
        if run.peer != ours and (mine := of_ours.get((run.model, run.file_tokens, run.busy)))
    ]


def _ratio(theirs: Spread, ours: Spread) -> float | None:
    return round(theirs.p50 / ours.p50, 2) if theirs.p50 is not None and ours.p50 else None


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]
