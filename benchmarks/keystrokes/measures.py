"""Compute the figures of the benchmark from replays."""

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
    """The peer and the conditions of a replay."""

    peer: PeerName
    model: str
    file_tokens: int
    busy: bool


@frozen
class Spread:
    """The median and the 95th percentile; None if nothing was measured."""

    p50: float | None
    p95: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of the values, interpolated linearly."""
        if not values:
            return cls(None, None)
        p50, p95 = np.percentile(values, (50, 95))
        return cls(round(float(p50), 2), round(float(p95), 2))


@frozen
class PeerRun:
    """The figures of all replays of a peer under the same conditions."""

    peer: PeerName
    model: str
    file_tokens: int
    busy: bool
    ttft_ms: Spread
    """Time to the first token, over the answers that are not from memory."""
    cold_ttft_ms: Spread
    """The same, for the first request at a new place: opening a file, a jump, another file."""
    warm_ttft_ms: Spread
    """The same, for all other requests: typing on."""
    delay_ms: Spread
    """The part of it that the peer waited on purpose, for a further keystroke."""
    shown_ms: Spread
    """Time to the suggestion, over all answers."""
    cancel_to_next_ms: Spread
    """Time from a key that was typed before the last answer came, to the first token of its own answer."""
    evaluated_per_keystroke: Spread
    """Prompt tokens evaluated for each character typed."""
    prefilled_after_accept: float | None
    """Median of the prompt tokens evaluated for the answer after an accept, ahead of it or after it."""
    cpu_s_per_accepted_char: float | None
    """CPU seconds of the server for each accepted character of its suggestions."""
    cpu_s: float
    accepted_chars: int
    answers: int
    remembered: int
    """Number of answers from memory: the user typed as suggested, or the cursor came back."""
    rss_mb: float


def condense(conditions: RunConditions, replays: Sequence[Replay]) -> PeerRun:
    """Compute the figures of the replays under the same conditions."""
    records = [record for replay in replays for record in replay.records]
    cpu_s = sum(replay.cpu_s for replay in replays)
    asked = [record.answer for record in records if not record.answer.remembered]
    first = [record.answer for record in records if record.is_first]
    later = [record.answer for record in records if not record.is_first and not record.answer.remembered]
    accepted = sum(record.accepted_chars for record in records)
    after_accept = [record.evaluated for record in records if record.accepted_chars]
    return PeerRun(
        **asdict(conditions),
        ttft_ms=Spread.of([answer.ttft_ms for answer in asked]),
        cold_ttft_ms=Spread.of([answer.ttft_ms for answer in first]),
        warm_ttft_ms=Spread.of([answer.ttft_ms for answer in later]),
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
        rss_mb=round(max(replay.rss_mb for replay in replays), 1),
    )


def keystrokes(records: Iterable[EventResult]) -> list[int]:
    """Return the prompt tokens evaluated for each character typed."""
    return [record.evaluated for record in records if record.kind == "type"]


def ratios(runs: Sequence[PeerRun], baseline: PeerName = "fim-lsp") -> list[dict[str, Any]]:
    """Return the ratios of every other peer's medians to those of ``baseline``."""
    baselines = {(run.model, run.file_tokens, run.busy): run for run in runs if run.peer == baseline}
    return [
        {
            "peer": run.peer,
            "model": run.model,
            "file_tokens": run.file_tokens,
            "busy": run.busy,
            "ttft": _ratio(run.ttft_ms, base.ttft_ms),
            "cold_ttft": _ratio(run.cold_ttft_ms, base.cold_ttft_ms),
            "warm_ttft": _ratio(run.warm_ttft_ms, base.warm_ttft_ms),
            "shown": _ratio(run.shown_ms, base.shown_ms),
            "cancel_to_next": _ratio(run.cancel_to_next_ms, base.cancel_to_next_ms),
        }
        for run in runs
        if run.peer != baseline and (base := baselines.get((run.model, run.file_tokens, run.busy)))
    ]


def _ratio(spread: Spread, base: Spread) -> float | None:
    return round(spread.p50 / base.p50, 2) if spread.p50 is not None and base.p50 else None


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]
