"""A running generation that outlives the request which began it.

When the user types what the model is just producing, the next request joins the flight instead of starting
anew; when they type something else, the flight ends at the first character that differs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from attrs import define, evolve, field

from fim_lsp.completion.cache import CursorSnapshot, Suggestion, typed_since
from fim_lsp.completion.retry import Retry
from fim_lsp.completion.stopping import TAIL_TOKENS, Stop, StopRules, check, is_echo
from fim_lsp.engine.base import AdapterError, CancelToken, OnToken
from fim_lsp.engine.worker import InferenceWorker
from fim_lsp.types import (
    AppliedAdapter,
    CompletionRequest,
    FinishReason,
    Generation,
    Prompt,
    SamplingParams,
    StreamedToken,
    Trigger,
)

_FIRST = Retry()
"""Nothing was said before."""
_LINE = 120
"""Characters of the cursor's line that a draft has in front: enough to find where it goes on."""

OnRefused = Callable[[AdapterError], None]
"""Told of each adapter that can't be applied, and is therefore left out."""

OnLanded = Callable[["InFlightGeneration", Generation, "Suggestion | None"], None]
"""Told of each generation that ends, whether or not somebody still waits, and of what came of it."""


@define
class _CandidateStream:
    """What was said so far, one of the ways to go on."""

    kept: str = ""
    """What another one said before, and this one goes on from."""
    pieces: list[StreamedToken] = field(factory=list)
    stop: Stop | None = None
    text: str = field(init=False)

    @text.default
    def _begins_as_kept(self) -> str:
        return self.kept


class InFlightGeneration:
    """One generation for one cursor, and whoever waits for it."""

    def __init__(
        self, request: CompletionRequest, prompt: Prompt, rules: StopRules, candidates: int = 1
    ) -> None:
        self.where = CursorSnapshot.of(request)
        self.trigger = request.trigger
        self.prompt = prompt
        self.multiline = rules.multiline
        self.waiting = 0
        """Requests that wait for this flight."""
        self._rules = rules
        self._cancel = CancelToken()
        self._candidates = tuple(_CandidateStream() for _ in range(candidates))
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

    @property
    def draft(self) -> str:
        """What was said so far, behind its line: if the user does not take it, much of it may still come."""
        line = self.where.before.rpartition("\n")[2][-_LINE:]
        return line + self._candidates[0].text

    def joins(self, request: CompletionRequest, adapters: tuple[AppliedAdapter, ...]) -> bool:
        """Whether ``request`` may wait for this flight; if so, what was typed is noted."""
        if not self.running or (request.trigger is Trigger.INVOKED is not self.trigger):
            return False
        if adapters != self.prompt.adapters:
            return False
        typed = typed_since(self.where, CursorSnapshot.of(request))
        if typed is None or not any(_agree(one.text, typed) for one in self._candidates):
            return False
        self._typed = typed
        return True

    def remaining(self, landed: Suggestion, request: CompletionRequest) -> Suggestion | None:
        """The part of ``landed`` that ``request`` has not typed yet; None if it typed all, or otherwise."""
        typed = typed_since(self.where, CursorSnapshot.of(request))
        return None if typed is None else landed.after(typed)

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
        generations = await self._generate(worker, sampling, on_refused)
        if generations is None:
            return None
        suggestion = self._suggestion(generations)
        if suggestion is not None and self._only_echoes(suggestion, generations[0]):
            suggestion = await self._try_again(suggestion, worker, sampling, on_refused)
        on_landed(self, generations[0], suggestion)
        return suggestion

    def _only_echoes(self, suggestion: Suggestion, first: Generation) -> bool:
        """Whether the model had something to say, and nothing of it is new."""
        said = bool(first.text.strip()) and not self._typed
        return said and all(is_echo(one.text, self._rules) for one in suggestion.all)

    async def _try_again(
        self, echo: Suggestion, worker: InferenceWorker, sampling: SamplingParams, on_refused: OnRefused
    ) -> Suggestion | None:
        """What the model says when it may not say that; the echo where it knows nothing else."""
        departure = Retry.of(self._candidates[0].pieces)
        self._candidates = (_CandidateStream(departure.kept),)
        generations = await self._generate(worker, sampling, on_refused, departure)
        other = self._suggestion(generations) if generations is not None else None
        if other is None:
            return None
        chosen = echo if is_echo(other.text, self._rules) else other
        said = departure.kept + departure.left
        return evolve(chosen, echo=said, timings=echo.timings.then(other.timings))

    def _suggestion(self, generations: Sequence[Generation]) -> Suggestion | None:
        """What was said, up to where stop rules ended it; None if it is no use any more.

        The first candidate stays first here, as it is what the model says when asked for one; the others
        follow by the mean probability of their tokens. Which fits the code is judged later.
        """
        heard = zip(self._candidates, generations, strict=False)
        said = [
            self._said(candidate, generation)
            for candidate, generation in heard
            if generation.finish_reason is not FinishReason.CANCELLED
            and _agree(candidate.kept + generation.text, self._typed)
        ]
        if not said or generations[0].finish_reason is FinishReason.CANCELLED:
            return None
        others = sorted(said[1:], key=lambda one: one.confidence, reverse=True)
        return evolve(said[0], alternatives=tuple(others))

    def _said(self, candidate: _CandidateStream, generation: Generation) -> Suggestion:
        stop, text = candidate.stop, candidate.kept + generation.text
        return Suggestion(
            text=text if stop is None else text[: stop.keep],
            confidence=_mean(generation.probabilities),
            trigger=self.trigger,
            ended_by=stop.rule if stop else generation.finish_reason.value,
            timings=generation.timings,
            adapters=self.prompt.adapters,
        )

    async def _generate(
        self,
        worker: InferenceWorker,
        sampling: SamplingParams,
        on_refused: OnRefused,
        departure: Retry = _FIRST,
    ) -> tuple[Generation, ...] | None:
        """Ask the engine, again without each adapter that it refuses; None if a reload came between."""
        sampling = departure.sampling(sampling)
        listeners = [self._listener(candidate) for candidate in self._candidates]
        while worker.engine is not None:
            try:
                prompt = departure.prompt(self.prompt)
                return await worker.generate(prompt, sampling, self._cancel, listeners)
            except AdapterError as error:
                left = tuple(one for one in self.prompt.adapters if one != error.adapter)
                on_refused(error)
                self.prompt = evolve(self.prompt, adapters=left)
        return None

    def _listener(self, candidate: _CandidateStream) -> OnToken:
        def heard(piece: StreamedToken) -> bool:
            """On the inference thread, for every token: go on unless enough was said or the user differs."""
            candidate.text += piece.text
            candidate.pieces.append(piece)
            likely = [one.probability for one in candidate.pieces[-TAIL_TOKENS:]]
            candidate.stop = check(candidate.text, likely, piece.elapsed_ms, self._rules)
            return candidate.stop is None and _agree(candidate.text, self._typed)

        return heard


def _agree(said: str, typed: str) -> bool:
    """Whether one is the beginning of the other."""
    return said.startswith(typed) or typed.startswith(said)


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values) if values else 0.0
