"""Sum up records: counts, rates and percentiles, of all suggestions and by group. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from attrs import field, frozen

from fim_lsp.feedback.events import SuggestionOrigin
from fim_lsp.feedback.persistence import CHECKS_S, MOSTLY
from fim_lsp.feedback.store import SuggestionRecord, WrittenCharacters, day_of

K = TypeVar("K")

SEEN_MS = 750.0
"""Time on screen from which a suggestion counts as seen. One that is replaced sooner was not read."""
_USED = ("accepted", "partly_accepted")


@frozen
class Persistence:
    """The acceptances whose text was mostly left after some time."""

    known: int
    """Acceptances that could be measured."""
    kept: int
    """Those of which two thirds were left."""

    @property
    def rate(self) -> float | None:
        """Fraction kept, 0 to 1; None if nothing is known."""
        return self.kept / self.known if self.known else None


@frozen
class Statistics:
    """The outcomes of a group of suggestions, counted. Rates are 0 to 1, and None if nothing was counted."""

    offered: int
    """All suggestions."""
    seen: int
    """Those that were on screen for at least 750 ms."""
    accepted: int
    partly_accepted: int
    typed: int
    """Those that were typed by hand to the end."""
    rejected: int
    acceptance: float | None
    """Fraction of those seen that was accepted, wholly or partly."""
    kept_rate: float | None
    """Share of the accepted characters that were left when it was last measured, 10 minutes later at most."""
    persistence: Mapping[int, Persistence]
    """By seconds since the acceptance."""
    chars_saved: int
    """Characters that were accepted, so not typed."""
    chars_written: int
    """Characters typed or accepted in the same documents since their first suggestion."""
    completed_ratio: float | None
    """Fraction of those written that was accepted."""
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


def summarize(records: Sequence[SuggestionRecord], written: Sequence[WrittenCharacters]) -> Summary:
    """Sum up everything that ``fim-lsp stats`` shows. Groups come largest first."""

    def by(key: Callable[[SuggestionOrigin], str]) -> dict[str, Statistics]:
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


def model_label(origin: SuggestionOrigin) -> str:
    """Return the name of the model, with its adapter if it had one.

    Example: ``fim-lsp 135M + style``.
    """
    return f"{origin.model} + {origin.adapter}" if origin.adapter else origin.model


def statistics(records: Sequence[SuggestionRecord], written: Sequence[WrittenCharacters]) -> Statistics:
    """Sum up one group."""
    kinds = Counter(record.outcome.kind for record in records)
    seen = [record for record in records if record.outcome.shown_ms >= SEEN_MS]
    used = sum(record.outcome.kind in _USED for record in seen)
    saved = sum(record.outcome.accepted_chars for record in records)
    # Accepted text counts as written even if it was deleted, and a crash may lose the count of typed text.
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
        kept_rate=_kept_rate(records),
        persistence={after_s: _persistence(records, after_s) for after_s in CHECKS_S},
        chars_saved=saved,
        chars_written=chars,
        completed_ratio=saved / chars if chars else None,
        latency_p50_ms=_percentile(latencies, 50),
        latency_p95_ms=_percentile(latencies, 95),
    )


def _persistence(records: Sequence[SuggestionRecord], after_s: int) -> Persistence:
    parts = [part for record in records if (part := record.kept.get(after_s)) is not None]
    return Persistence(len(parts), sum(part >= MOSTLY for part in parts))


def _kept_rate(records: Sequence[SuggestionRecord]) -> float | None:
    accepted = kept = 0.0
    for record in records:
        measured = [fraction for _, fraction in sorted(record.kept.items()) if fraction is not None]
        if measured:
            accepted += record.outcome.accepted_chars
            kept += measured[-1] * record.outcome.accepted_chars
    return kept / accepted if accepted else None


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values else None


def _grouped(values: Sequence[K], key: Callable[[K], str]) -> dict[str, list[K]]:
    groups: dict[str, list[K]] = {}
    for value in values:
        groups.setdefault(key(value), []).append(value)
    return groups
