"""Answers cases through the server's own pipeline, one after the other, and keeps what came out."""

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
"""Nothing may be evaluated in the background: it would replace what is to be kept."""


@frozen
class CaseAnswer:
    """What one case came to."""

    key: str
    shown: str
    """What the editor would insert, without what it replaces behind the cursor."""
    evaluated: int
    """Prompt tokens evaluated once the cursor was at the hole."""
    reused: int
    distance: int
    held: bool
    """Whether the prompt was kept, and not made anew because it reached no farther."""


@frozen
class PromptLimits:
    """How much the model sees, and for how long it may be kept."""

    prompt_tokens: int
    prefix_share: float
    reach: int = 700
    """Characters, of both settings that bound it."""


def settings(model: str, budget: PromptLimits, layout: str, max_tokens: int) -> Settings:
    """Greedy, with nothing remembered and no clock: an answer must depend on its case alone."""
    return from_wire(
        {
            "model": {"name": model, "threads": 1, "sequences": 1},
            "prompt": {
                "maxTokens": budget.prompt_tokens,
                "prefixShare": budget.prefix_share,
                "layout": layout,
                "maxMiddleChars": budget.reach,
                "maxStaleChars": budget.reach,
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


def key(digest: str, case: Case, budget: PromptLimits) -> str:
    """Names everything that an answer depends on, but for the code."""
    parts = (digest, case.hole.digest, case.arm, str(case.distance), str(budget))
    return sha256("\0".join(parts).encode()).hexdigest()[:24]


def fill(
    open_engine: Callable[[], Engine],
    model: str,
    digest: str,
    cases: Sequence[Case],
    journal: ResultJournal,
    budget: PromptLimits,
    on_done: Callable[[], None] = lambda: None,
) -> list[CaseAnswer]:
    """Answer every case that the journal does not answer yet; an answer for each, in order."""
    keys = [key(digest, case, budget) for case in cases]
    pending = [(one, case) for one, case in zip(keys, cases, strict=True) if journal.get(one) is None]
    if pending:
        asyncio.run(_fill(open_engine, model, pending, journal, budget, on_done))
    return [CaseAnswer(**(journal.get(one) or {})) for one in keys]


async def _fill(
    open_engine: Callable[[], Engine],
    model: str,
    pending: Sequence[tuple[str, Case]],
    journal: ResultJournal,
    budget: PromptLimits,
    on_done: Callable[[], None],
) -> None:
    worker = InferenceWorker(lambda *_: open_engine())
    completer = Completer(worker, pause_s=_NEVER_S)
    opening = settings(model, budget, "anchored", 1)
    try:
        completer.model_changed(await worker.load(opening.model, lambda _: None), opening)
        for name, case in pending:
            answering = settings(model, budget, "plain" if case.arm == EXACT else "anchored", 96)
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
