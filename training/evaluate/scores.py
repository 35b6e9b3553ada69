"""Turn answers into figures: measure each answer against its hole, and sum up by kinds of holes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from attrs import asdict, field, frozen

from training.evaluate.arms import TEXTS, Arm, Text
from training.evaluate.infilling import EvaluationHole
from training.evaluate.metrics import (
    Interval,
    WeightedTotal,
    difference,
    edit_similarity,
    exact_match,
    exact_match_closers,
    interval,
    percentile,
    suffix_repeated,
)
from training.evaluate.records import AnswerRecord

HoleMetrics = Mapping[str, WeightedTotal]
"""The metrics of one answer, by name; metrics that were not measured are missing."""


@frozen
class Metric:
    """A column of the report."""

    name: str
    title: str
    unit: str
    about: str
    more_is_better: bool = True


TEXT_METRICS: tuple[Metric, ...] = (
    Metric("exact_match", "exact", "%", "the text is the true middle, character by character"),
    Metric("exact_match_closers", "exact but closers", "%", "the same without trailing blanks and closers"),
    Metric("edit_similarity", "edit similarity", "0-100", "100 * (1 - Levenshtein / longer length)"),
    Metric("pass_at_1", "pass@1", "%", "the benchmark's test passes with the text in the hole"),
    Metric("answered", "answered", "%", "holes with something missing that got any text"),
    Metric("empty_offered", "false suggestions", "%", "holes with nothing missing that got a text", False),
    Metric("suffix_repeated", "repeats suffix", "%", "the text repeats the suffix's first line", False),
)
"""Metrics of each of an answer's texts."""
ANSWER_METRICS: tuple[Metric, ...] = (
    Metric("stop_accuracy", "stops by itself", "%", "the model's own end token came within the limits"),
    Metric("middle_nll", "middle NLL", "nats/token", "of the true middle and the end behind it", False),
    Metric("middle_nll_text", "NLL without end", "nats/token", "of the true middle alone", False),
    Metric("middle_bits", "bits/character", "bits", "the same, whatever the vocabulary", False),
)
"""Metrics of an answer as a whole."""
METRICS = (*TEXT_METRICS, *ANSWER_METRICS)
PLAIN = Metric("left_to_right_nll", "left to right NLL", "nats/token", "of whole documents", False)


def _line_groups(hole: EvaluationHole) -> tuple[str, ...]:
    if hole.lines <= 1:
        return (str(hole.lines), "1-3")[: hole.lines + 1]
    return ("2-3", "1-3") if hole.lines <= 3 else ("4+",)


GROUPS: Mapping[str, Callable[[EvaluationHole], tuple[str, ...]]] = MappingProxyType(
    {
        "set": lambda hole: (hole.set,),
        "kind": lambda hole: (hole.kind,),
        "start_kind": lambda hole: (hole.start_kind,),
        "end_kind": lambda hole: (hole.end_kind,),
        "lines": _line_groups,
        "language": lambda hole: (hole.language,),
    }
)
"""Kinds of groups of holes; a hole may be in several groups of the same kind."""


@frozen
class ArmResults:
    """An arm's answers to all holes, in their order."""

    arm: Arm
    holes: tuple[EvaluationHole, ...] = field(repr=False)
    records: tuple[AnswerRecord, ...] = field(repr=False)
    passes: Mapping[str, bool] = field(factory=dict, repr=False)
    """True for each program that passed, False for the others; empty if none was run."""
    plain: tuple[tuple[float, float], ...] = field(default=(), repr=False)
    """Left-to-right NLL in nats, and number of tokens, of each plain text."""

    def metrics_by_hole(self, text: Text | None = None) -> tuple[HoleMetrics, ...]:
        """Measure the answer to each hole by one of its texts; by the arm's own text by default."""
        which = text or self.arm.text
        return tuple(
            {**measure_text(hole, record, which, self.passes), **measure_answer(hole, record)}
            for hole, record in zip(self.holes, self.records, strict=True)
        )

    def programs(self) -> Iterator[str]:
        """Yield every program that pass@1 needs to run."""
        for hole, record in zip(self.holes, self.records, strict=True):
            for which in TEXTS:
                program = _program(hole, record, which)
                if program is not None:
                    yield program


def _program(hole: EvaluationHole, record: AnswerRecord, which: Text) -> str | None:
    text = record.text(which)
    return None if text is None else hole.program(text, record.replaced if which == "shown" else 0)


def measure_text(
    hole: EvaluationHole, record: AnswerRecord, which: Text, passes: Mapping[str, bool]
) -> HoleMetrics:
    """Measure one text of an answer; return no metrics if the arm gave no text."""
    text = record.text(which)
    if text is None:
        return {}
    if which == "shown":
        # The characters that the answer replaces behind the cursor are in the suffix too.
        text = text.removesuffix(hole.suffix[: record.replaced])
    answered = _rate(bool(text.strip()))
    repeated = suffix_repeated(text, hole.middle, hole.suffix)
    measured = {} if repeated is None else {"suffix_repeated": _rate(repeated)}
    if not hole.middle:
        return measured | {"empty_offered": answered}
    program = _program(hole, record, which)
    if program is not None and program in passes:
        measured["pass_at_1"] = _rate(passes[program])
    return measured | {
        "exact_match": _rate(exact_match(text, hole.middle)),
        "exact_match_closers": _rate(exact_match_closers(text, hole.middle)),
        "edit_similarity": (edit_similarity(text, hole.middle), 1.0),
        "answered": answered,
    }


def measure_answer(hole: EvaluationHole, record: AnswerRecord) -> HoleMetrics:
    """Measure an answer as a whole."""
    measured: dict[str, WeightedTotal] = {}
    if record.written is not None:
        measured["stop_accuracy"] = _rate(record.finish == "end")
    if record.nll_text is not None and record.nll_end is not None and record.nll_tokens:
        measured["middle_nll"] = (record.nll_text + record.nll_end, record.nll_tokens + 1.0)
        measured["middle_nll_text"] = (record.nll_text, float(record.nll_tokens))
        measured["middle_bits"] = (record.nll_text / math.log(2), float(len(hole.middle)))
    return measured


def _rate(good: bool) -> WeightedTotal:
    return (100.0 * good, 1.0)


# --- Figures: plain values, as they stand in report.json


def arm_figures(results: ArmResults, seed: int) -> dict[str, Any]:
    """Return all figures of an arm, as they are in the report."""
    holes, metrics_by_hole = results.holes, results.metrics_by_hole()
    texts = {which: figures(results.metrics_by_hole(which), TEXT_METRICS, seed) for which in TEXTS}
    return {
        "n": len(holes),
        "n_empty": sum(not hole.middle for hole in holes),
        "text": results.arm.text,
        **figures(metrics_by_hole, METRICS, seed),
        PLAIN.name: _plain(interval(results.plain, seed)),
        "texts": texts,
        "by": {name: _by(name, holes, metrics_by_hole, seed) for name in GROUPS},
        "latency": _latency(results.records),
        "tokens": _tokens(results.records),
        "ended_by": dict(sorted(Counter(record.ended_by for record in results.records).items())),
        "templates": sorted({record.template for record in results.records if record.template}),
        "errors": sum(bool(record.error) for record in results.records),
    }


def figures(metrics_by_hole: Sequence[HoleMetrics], metrics: Sequence[Metric], seed: int) -> dict[str, Any]:
    """Return each metric over the holes that have it."""
    return {
        metric.name: _plain(
            interval([hole[metric.name] for hole in metrics_by_hole if metric.name in hole], seed)
        )
        for metric in metrics
    }


def paired_figures(arm: ArmResults, base: ArmResults, seed: int) -> dict[str, Any]:
    """Return each metric's difference, ``arm`` minus ``base``, over the holes that have it in both."""
    pairs = list(zip(arm.metrics_by_hole(), base.metrics_by_hole(), strict=True))
    found: dict[str, Any] = {"arm": arm.arm.name, "base": base.arm.name}
    for metric in METRICS:
        both = [(a[metric.name], b[metric.name]) for a, b in pairs if metric.name in a and metric.name in b]
        found[metric.name] = _plain(difference([a for a, _ in both], [b for _, b in both], seed))
    if len(arm.plain) == len(base.plain):
        found[PLAIN.name] = _plain(difference(arm.plain, base.plain, seed))
    return found


def _by(
    name: str, holes: Sequence[EvaluationHole], metrics_by_hole: Sequence[HoleMetrics], seed: int
) -> dict[str, dict[str, Any]]:
    members: dict[str, list[HoleMetrics]] = {}
    for hole, metrics in zip(holes, metrics_by_hole, strict=True):
        for group in GROUPS[name](hole):
            members.setdefault(group, []).append(metrics)
    return {
        group: {"n": len(some), **figures(some, METRICS, seed)} for group, some in sorted(members.items())
    }


def _latency(records: Sequence[AnswerRecord]) -> dict[str, Any]:
    """Return the milliseconds until the first token and until the answer, with an empty KV cache."""
    served = [record for record in records if record.written is not None and not record.error]
    return {
        name: {f"p{percent}": _rounded(percentile(values, percent)) for percent in (50, 95)}
        for name, values in (
            ("first_ms", [record.first_ms for record in served]),
            ("shown_ms", [record.shown_ms for record in served]),
        )
    }


def _tokens(records: Sequence[AnswerRecord]) -> dict[str, Any]:
    served = [record for record in records if record.written is not None]
    count = max(1, len(served))
    return {
        "evaluated": round(sum(record.evaluated for record in served) / count, 1),
        "generated": round(sum(record.generated for record in served) / count, 1),
    }


def _plain(value: Interval) -> dict[str, float | None]:
    return {name: _rounded(number) for name, number in asdict(value).items()}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
