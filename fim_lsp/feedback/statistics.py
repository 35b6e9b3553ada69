"""Numbers from records: pure sums, rates and percentiles, for all suggestions and by group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from attrs import field, frozen

from fim_lsp.feedback.events import Origin
from fim_lsp.feedback.persistence import CHECKS_S, MOSTLY
from fim_lsp.feedback.store import Record, Written, day_of

K = TypeVar("K")

SEEN_MS = 750.0
"""On screen at least so long, a suggestion counts as seen; one that flashes by while typing is not read."""
_USED = ("accepted", "partly_accepted")


@frozen
class Persistence:
    """How often accepted text was mostly still there after some time."""

    known: int
    """Acceptances that could be looked at."""
    kept: int
    """Those of which two thirds were there."""

    @property
    def rate(self) -> float | None:
        """Part kept, 0 to 1; None where nothing is known."""
        return self.kept / self.known if self.known else None


@frozen
class Statistics:
    """What became of a group of suggestions. Rates are 0 to 1, and None where nothing was counted."""

    offered: int
    seen: int
    """Those on screen for at least 750 ms."""
    accepted: int
    partly_accepted: int
    typed: int
    """Typed by hand to the end, as suggested."""
    rejected: int
    acceptance: float | None
    """Of those seen, the part that was accepted, wholly or partly."""
    persistence: Mapping[int, Persistence]
    """By seconds since the acceptance."""
    chars_saved: int
    """Characters that came by acceptance and so were not typed."""
    chars_written: int
    """Characters that came into the same documents, typed or accepted, since their first suggestion."""
    completed_ratio: float | None
    """Part of them that came by acceptance."""
    latency_p50_ms: float | None
    latency_p95_ms: float | None


@frozen
class Summary:
    """All statistics."""

    total: Statistics
    by_language: Mapping[str, Statistics]
    by_model: Mapping[str, Statistics]
    """A model with its adapter is one group."""
    by_server: Mapping[str, Statistics]
    saved_by_day: Mapping[int, int] = field(factory=dict)
    """Characters saved on each day (of UTC, counted from the epoch) with suggestions, in order."""


def summarize(records: Sequence[Record], written: Sequence[Written]) -> Summary:
    """Everything that ``fim-lsp stats`` shows. Groups come largest first."""

    def by(key: Callable[[Origin], str]) -> dict[str, Statistics]:
        groups = _grouped(records, lambda record: key(record.origin))
        lines = _grouped(written, lambda line: key(line.origin))
        largest = sorted(groups, key=lambda name: (-len(groups[name]), name))
        return {name: statistics(groups[name], lines.get(name, [])) for name in largest}

    saved: Counter[int] = Counter()
    for record in records:
        saved[day_of(record.at)] += record.outcome.accepted_chars
    return Summary(
        total=statistics(records, written),
        by_language=by(lambda origin: origin.language),
        by_model=by(model_label),
        by_server=by(lambda origin: origin.server),
        saved_by_day=dict(sorted(saved.items())),
    )


def model_label(origin: Origin) -> str:
    """The model, with its adapter if it had one."""
    return f"{origin.model} + {origin.adapter}" if origin.adapter else origin.model


def statistics(records: Sequence[Record], written: Sequence[Written]) -> Statistics:
    """The figures of one group."""
    kinds = Counter(record.outcome.kind for record in records)
    seen = [record for record in records if record.outcome.shown_ms >= SEEN_MS]
    used = sum(record.outcome.kind in _USED for record in seen)
    saved = sum(record.outcome.accepted_chars for record in records)
    # Deleting what was accepted does not make it unwritten, and a crash may lose the other count.
    chars = max(saved, sum(line.chars for line in written))
    latencies = [record.latency_ms for record in records]
    return Statistics(
        offered=len(records),
        seen=len(seen),
        accepted=kinds["accepted"],
        partly_accepted=kinds["partly_accepted"],
        typed=kinds["typed"],
        rejected=kinds["rejected"],
        acceptance=used / len(seen) if seen else None,
        persistence={after_s: _persistence(records, after_s) for after_s in CHECKS_S},
        chars_saved=saved,
        chars_written=chars,
        completed_ratio=saved / chars if chars else None,
        latency_p50_ms=_percentile(latencies, 50),
        latency_p95_ms=_percentile(latencies, 95),
    )


def _persistence(records: Sequence[Record], after_s: int) -> Persistence:
    parts = [part for record in records if (part := record.kept.get(after_s)) is not None]
    return Persistence(len(parts), sum(part >= MOSTLY for part in parts))


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values else None


def _grouped(values: Sequence[K], key: Callable[[K], str]) -> dict[str, list[K]]:
    groups: dict[str, list[K]] = {}
    for value in values:
        groups.setdefault(key(value), []).append(value)
    return groups
