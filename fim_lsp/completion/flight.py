"""A running generation that outlives the request which began it.

When the user types what the model is just producing, the next request joins the flight instead of starting
anew; when they type something else, the flight ends at the first character that differs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from attrs import evolve

from fim_lsp.completion.cache import Suggestion, Surroundings, typed_since
from fim_lsp.completion.stopping import Stop, StopRules, check
from fim_lsp.engine.base import AdapterError, CancelToken
from fim_lsp.engine.worker import InferenceWorker
from fim_lsp.types import (
    AppliedAdapter,
    CompletionRequest,
    FinishReason,
    Generation,
    Piece,
    Prompt,
    SamplingParams,
    Trigger,
)

OnRefused = Callable[[AdapterError], None]
"""Told of each adapter that can't be applied, and is therefore left out."""

OnLanded = Callable[["Flight", Generation, "Suggestion | None"], None]
"""Told of each generation that ends, whether or not somebody still waits, and of what came of it."""


class Flight:
    """One generation for one cursor, and whoever waits for it."""

    def __init__(self, request: CompletionRequest, prompt: Prompt, rules: StopRules) -> None:
        self.where = Surroundings.of(request)
        self.trigger = request.trigger
        self.prompt = prompt
        self.multiline = rules.multiline
        self.waiting = 0
        """Requests that wait for this flight."""
        self._rules = rules
        self._cancel = CancelToken()
        self._text = ""
        self._probabilities: list[float] = []
        self._stop: Stop | None = None
        # Written by the event loop, read on the inference thread; one reference, so no lock is needed.
        self._typed = ""
        self.outcome: asyncio.Task[Suggestion | None]
        """The suggestion; None if the flight was aborted or what was typed differs."""

    def start(
        self,
        worker: InferenceWorker,
        sampling: SamplingParams,
        on_landed: OnLanded,
        on_refused: OnRefused,
    ) -> None:
        """Queue the generation."""
        self.outcome = asyncio.create_task(self._run(worker, sampling, on_landed, on_refused))
        # A failure after everybody left is logged by whoever asked, not by asyncio's collector.
        self.outcome.add_done_callback(lambda task: task.cancelled() or task.exception())

    @property
    def running(self) -> bool:
        """Whether there is still something to join."""
        return not (self.outcome.done() or self._cancel.cancelled)

    def joins(self, request: CompletionRequest, adapters: tuple[AppliedAdapter, ...]) -> bool:
        """Whether ``request`` may wait for this flight; if so, what was typed is noted."""
        if not self.running or (request.trigger is Trigger.INVOKED is not self.trigger):
            return False
        if adapters != self.prompt.adapters:
            return False
        typed = typed_since(self.where, Surroundings.of(request))
        if typed is None or not _agree(self._text, typed):
            return False
        self._typed = typed
        return True

    def remaining(self, landed: Suggestion, request: CompletionRequest) -> str | None:
        """The part of ``landed`` that ``request`` has not typed yet; None if it typed all, or otherwise."""
        typed = typed_since(self.where, Surroundings.of(request))
        if typed is None or not landed.text.startswith(typed) or (typed and typed == landed.text):
            return None
        return landed.text[len(typed) :]

    def abort(self) -> None:
        """End the generation within milliseconds, inside a prefill too."""
        self._cancel.cancel()

    async def _run(
        self,
        worker: InferenceWorker,
        sampling: SamplingParams,
        on_landed: OnLanded,
        on_refused: OnRefused,
    ) -> Suggestion | None:
        generation = await self._generate(worker, sampling, on_refused)
        if generation is None:
            return None
        suggestion = self._suggestion(generation)
        on_landed(self, generation, suggestion)
        return suggestion

    def _suggestion(self, generation: Generation) -> Suggestion | None:
        """What was said, up to where a stop rule ended it; None if it is no use any more."""
        text = generation.text if self._stop is None else generation.text[: self._stop.keep]
        if generation.finish_reason is FinishReason.CANCELLED or not _agree(generation.text, self._typed):
            return None
        return Suggestion(
            text=text,
            confidence=_mean(generation.probabilities),
            trigger=self.trigger,
            ended_by=self._stop.rule if self._stop else generation.finish_reason.value,
            timings=generation.timings,
            adapters=self.prompt.adapters,
        )

    async def _generate(
        self, worker: InferenceWorker, sampling: SamplingParams, on_refused: OnRefused
    ) -> Generation | None:
        """Ask the engine, again without each adapter that it refuses; None if a reload came between."""
        while worker.engine is not None:
            try:
                return await worker.generate(self.prompt, sampling, self._cancel, self._heard)
            except AdapterError as error:
                left = tuple(one for one in self.prompt.adapters if one != error.adapter)
                on_refused(error)
                self.prompt = evolve(self.prompt, adapters=left)
        return None

    def _heard(self, piece: Piece) -> bool:
        """On the inference thread, for every token: go on unless enough was said or the user differs."""
        self._text += piece.text
        self._probabilities.append(piece.probability)
        self._stop = check(self._text, self._probabilities, piece.elapsed_ms, self._rules)
        return self._stop is None and _agree(self._text, self._typed)


def _agree(said: str, typed: str) -> bool:
    """Whether one is the beginning of the other."""
    return said.startswith(typed) or typed.startswith(said)


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values) if values else 0.0
