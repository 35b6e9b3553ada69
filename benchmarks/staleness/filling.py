"""Answer cases with the server's own pipeline, one after the other, and store the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

from attrs import asdict, frozen

from benchmarks.staleness.cases import EXACT, Case
from fim_lsp.completion.completer import Completer
from fim_lsp.engine.base import Engine
from fim_lsp.engine.worker import InferenceWorker
from fim_lsp.settings import Settings, from_wire
from fim_lsp.types import PromptPart
from training.evaluate.records import ResultJournal

_NEVER_S = 1e9
"""Seconds: no idle prefill may run, because it would replace the kept prompt."""


@frozen
class CaseAnswer:
    """The answer to a case."""

    key: str
    shown: str
    """The text that the editor would insert, without the characters that it replaces behind the cursor."""
    evaluated: int
    """Prompt tokens evaluated with the cursor at the hole."""
    reused: int
    distance: int
    held: bool
    """True if the prompt was kept; False if a new one was needed."""


@frozen
class PromptLimits:
    """The size of the prompts, and the distance over which they may be kept."""

    prompt_tokens: int
    prefix_share: float
    reach: int = 700
    """Characters: the value of both settings that limit the distance."""


def settings(model: str, limits: PromptLimits, layout: str, max_tokens: int) -> Settings:
    """Return settings with which an answer depends on its case alone: greedy, no cache, no time limits."""
    return from_wire(
        {
            "model": {"name": model, "threads": 1, "sequences": 1},
            "prompt": {
                "maxTokens": limits.prompt_tokens,
                "prefixShare": limits.prefix_share,
                "layout": layout,
                "coldMs": None,
                "maxMiddleChars": limits.reach,
                "maxStaleChars": limits.reach,
            },
            "sampling": {"temperature": 0.0, "invokedMaxTokens": max_tokens},
            "completion": {
                "cacheSize": 0,
                "candidates": 1,
                "timeBudgetMs": _NEVER_S,
                "disabledFiles": (),
                "prefetch": False,
            },
        }
    )


def key(digest: str, case: Case, limits: PromptLimits) -> str:
    """Hash everything that an answer depends on, except the code: 24 hexadecimal digits."""
    parts = (digest, case.hole.digest, case.arm, str(case.distance), str(limits))
    return sha256("\0".join(parts).encode()).hexdigest()[:24]


def fill(
    open_engine: Callable[[], Engine],
    model: str,
    digest: str,
    cases: Sequence[Case],
    journal: ResultJournal,
    limits: PromptLimits,
    on_done: Callable[[], None] = lambda: None,
) -> list[CaseAnswer]:
    """Answer every case that has no answer in the journal yet; return an answer for each, in order."""
    keys = [key(digest, case, limits) for case in cases]
    pending = [(name, case) for name, case in zip(keys, cases, strict=True) if journal.get(name) is None]
    if pending:
        asyncio.run(_fill(open_engine, model, pending, journal, limits, on_done))
    return [CaseAnswer(**(journal.get(name) or {})) for name in keys]


async def _fill(
    open_engine: Callable[[], Engine],
    model: str,
    pending: Sequence[tuple[str, Case]],
    journal: ResultJournal,
    limits: PromptLimits,
    on_done: Callable[[], None],
) -> None:
    worker = InferenceWorker(lambda *_: open_engine())
    completer = Completer(worker, pause_s=_NEVER_S)
    opening = settings(model, limits, "anchored", 1)
    try:
        completer.model_changed(await worker.load(opening.model, lambda _: None), opening)
        for name, case in pending:
            answering = settings(model, limits, "plain" if case.arm == EXACT else "anchored", 96)
            journal.add(await _answer(name, case, completer, opening, answering))
            on_done()
    finally:
        completer.stop()
        await worker.close()


async def _answer(
    name: str, case: Case, completer: Completer, opening: Settings, answering: Settings
) -> dict[str, Any]:
    completer.closed(case.request.document.uri)
    made: tuple[PromptPart, ...] = ()
    if case.before is not None:
        made = (await completer.complete(case.before, opening)).explanation.parts
    answer = await completer.complete(case.request, answering)
    completion = answer.completion
    shown = ""
    if completion is not None:
        shown = completion.text.removesuffix(case.hole.suffix[: completion.replace_suffix_chars])
    timings, head = answer.explanation.timings, answer.explanation.parts[:-1]
    held = made[: len(head)] == head
    return asdict(
        CaseAnswer(name, shown, timings.evaluated_tokens, timings.reused_tokens, case.distance, held)
    )
