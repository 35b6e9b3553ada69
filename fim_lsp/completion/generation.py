"""The in-flight generation: it outlives the request that began it.

When the user types the text that the model is just producing, the next request joins the generation instead
of starting another; when they type something else, the generation ends at the first character that differs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from attrs import define, evolve, field, frozen

from fim_lsp.completion.cache import CursorSnapshot, ScoredToken, Suggestion, typed_since
from fim_lsp.completion.explain import Explanation
from fim_lsp.completion.repetition import is_echo
from fim_lsp.completion.retry import Retry
from fim_lsp.completion.stop_rules import Stop, StopRules
from fim_lsp.completion.stopping import StopCheck, end_of_whole_lines
from fim_lsp.engine.base import AdapterError, CancelToken, NotANumberError, PromptTooColdError
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

_LOOKS_EVERY_S = 0.002
"""Seconds between two looks at what the user typed while a token is held."""
_DRAFT_CHARS = 120
"""Characters of the cursor's line that a draft has in front: enough to find where it goes on."""

OnRefused = Callable[[AdapterError], None]
"""Called with each adapter that can't be applied, and is therefore left out."""

OnFinished = Callable[["InFlightGeneration", Generation, "Suggestion | None"], None]
"""Called with each generation that ends, whether or not a request still waits, and its suggestion."""


@frozen
class GenerationTask:
    """The order for one generation."""

    request: CompletionRequest
    prompt: Prompt
    rules: StopRules
    sampling: SamplingParams
    candidates: int = 1
    """Suggestions that are generated side by side."""
    shorten: Callable[[], Prompt | None] = lambda: None
    """Makes a prompt to use instead if too many tokens of the first one need evaluation."""
    hold_ms: float = 0.0
    """Milliseconds from now before which no token but the first is computed."""


@frozen
class Hold:
    """A moment before which a generation does not go on behind its first token."""

    until_s: float
    """By ``time.perf_counter``."""
    cancel: CancelToken

    def wait(self, useful: Callable[[], bool]) -> float:
        """Wait for the moment, as long as the token is of use and nothing is cancelled.

        Returns:
            The milliseconds that it took.
        """
        started = time.perf_counter()
        while not self.cancel.cancelled and useful() and (left_s := self.until_s - time.perf_counter()) > 0:
            time.sleep(min(left_s, _LOOKS_EVERY_S))
        return (time.perf_counter() - started) * 1000


@define
class _CandidateStream:
    """The tokens of one candidate so far. Written on the inference thread."""

    check: StopCheck
    agrees: Callable[[str], bool]
    """Tells whether a text may still become what the user typed."""
    hold: Hold
    kept: str = ""
    """The text of a first answer that this one goes on from."""
    tokens: list[StreamedToken] = field(factory=list)
    stop: Stop | None = None
    held_ms: float = 0.0
    """Milliseconds for which the first token was held."""

    def on_token(self, token: StreamedToken) -> bool:
        """Take a token; return False to end the generation."""
        if not self.tokens:
            self.held_ms = self.hold.wait(lambda: self.agrees(self.check.text + token.text))
        self.tokens.append(token)
        self.stop = self.check.add(token.text, token.probability, token.elapsed_ms - self.held_ms)
        return self.stop is None and self.agrees(self.check.text)

    def scored_tokens(self, keep: int) -> tuple[ScoredToken, ...]:
        """Return the tokens that the first ``keep`` characters are made of, without those of ``kept``."""
        scored, end = [], len(self.kept)
        for token in self.tokens:
            start, end = end, end + len(token.text)
            if token.text and start < keep:
                scored.append(ScoredToken(min(end, keep), token.probability, token.entropy))
        return tuple(scored)


class InFlightGeneration:
    """One generation for one cursor, and the requests that wait for it. Begins when it is made.

    Args:
        worker: runs it.
        task: what to generate.
        on_finished: called once with the outcome.
        on_refused: called with each adapter that the engine refuses.
    """

    def __init__(
        self, worker: InferenceWorker, task: GenerationTask, on_finished: OnFinished, on_refused: OnRefused
    ) -> None:
        self.cursor = CursorSnapshot.of(task.request)
        self.prompt = task.prompt
        self.waiting = 0
        """Requests that wait for this generation."""
        self.held_ms = 0.0
        """Milliseconds for which its first token was held, for a further keystroke."""
        self._worker = worker
        self._task = task
        self._on_finished = on_finished
        self._on_refused = on_refused
        self._cancel = CancelToken()
        self._hold = Hold(time.perf_counter() + task.hold_ms / 1000, self._cancel)
        self._candidates = tuple(self._stream() for _ in range(task.candidates))
        # Written by the event loop, read on the inference thread; one reference, so no lock is needed.
        self._typed = ""
        self.outcome: asyncio.Task[Suggestion | None] = asyncio.create_task(self._run())
        """The suggestion; None if the generation was aborted or the user typed something else."""
        # A failure after every request left is logged by the one that began it, not by asyncio's collector.
        self.outcome.add_done_callback(lambda done: done.cancelled() or done.exception())

    @property
    def running(self) -> bool:
        """True while a request can join."""
        return not (self.outcome.done() or self._cancel.cancelled)

    @property
    def draft(self) -> str:
        """The text so far, behind its line: if the user does not accept it, much of it may still come."""
        line = self.cursor.before.rpartition("\n")[2][-_DRAFT_CHARS:]
        return line + self._candidates[0].check.text

    def joins(self, request: CompletionRequest, adapters: tuple[AppliedAdapter, ...]) -> bool:
        """Tell whether ``request`` may wait for this generation; if so, note what was typed."""
        if not self.running or (request.trigger is Trigger.INVOKED is not self._task.request.trigger):
            return False
        if adapters != self.prompt.adapters:
            return False
        typed = typed_since(self.cursor, CursorSnapshot.of(request))
        if typed is None or not any(_agree(candidate.check.text, typed) for candidate in self._candidates):
            return False
        self._typed = typed
        return True

    def remaining(self, suggestion: Suggestion, request: CompletionRequest) -> Suggestion | None:
        """Return the part of ``suggestion`` that ``request`` has not typed yet.

        None if all of it was typed, or something else.
        """
        typed = typed_since(self.cursor, CursorSnapshot.of(request))
        return None if typed is None else suggestion.after(typed)

    def abort(self) -> None:
        """End the generation within milliseconds, inside a prefill too."""
        self._cancel.cancel()

    def abort_unless_joined(self, grace_s: float) -> None:
        """End the generation if no request joins within ``grace_s`` seconds; at once with none."""

        def abort_if_unused() -> None:
            if not self.waiting:
                self.abort()

        if grace_s:
            asyncio.get_running_loop().call_later(grace_s, abort_if_unused)
        else:
            self.abort()

    async def _run(self) -> Suggestion | None:
        generations = await self._generate(lambda prompt: prompt, self._task.sampling)
        if generations is None:
            return None
        suggestion = self._suggestion(generations)
        if suggestion is not None and self._only_echoes(suggestion, generations[0]):
            suggestion = await self._retry(suggestion)
        self._on_finished(self, generations[0], suggestion)
        return suggestion

    def _only_echoes(self, suggestion: Suggestion, first: Generation) -> bool:
        """Tell whether the model wrote something, and all of it stands around the cursor already."""
        if self._typed or not first.text.strip():
            return False
        return all(is_echo(each.text, self._task.rules.context) for each in suggestion.all)

    async def _retry(self, echo: Suggestion) -> Suggestion | None:
        """Generate again with the echoed text excluded. Return the echo if the retry adds nothing."""
        retry = Retry.of(self._candidates[0].tokens)
        self._candidates = (self._stream(retry.kept),)
        generations = await self._generate(retry.prompt, retry.sampling(self._task.sampling))
        other = self._suggestion(generations) if generations is not None else None
        if other is None:
            return None
        chosen = echo if is_echo(other.text, self._task.rules.context) else other
        timings = echo.explanation.timings.then(other.explanation.timings)
        explanation = evolve(chosen.explanation, echo=retry.kept + retry.excluded, timings=timings)
        return evolve(chosen, explanation=explanation)

    def _suggestion(self, generations: Sequence[Generation]) -> Suggestion | None:
        """Return the generated text, up to where stop rules ended it; None if it is of no use any more.

        The first candidate stays first here, as it is the model's answer when asked for one; the others
        follow by the mean probability of their tokens. Which fits the code is ranked later.
        """
        streamed = zip(self._candidates, generations, strict=False)
        finished = [
            self._from_candidate(candidate, generation)
            for candidate, generation in streamed
            if generation.finish_reason is not FinishReason.CANCELLED
            and _agree(candidate.kept + generation.text, self._typed)
        ]
        if not finished or generations[0].finish_reason is FinishReason.CANCELLED:
            return None
        others = sorted(finished[1:], key=lambda suggestion: suggestion.confidence, reverse=True)
        return evolve(finished[0], alternatives=tuple(others))

    def _from_candidate(self, candidate: _CandidateStream, generation: Generation) -> Suggestion:
        stop, text = candidate.stop, candidate.kept + generation.text
        keep = len(text) if stop is None else stop.keep
        if stop is None and generation.finish_reason is FinishReason.LENGTH:
            keep = end_of_whole_lines(text)
        return Suggestion(
            text=text[:keep],
            confidence=_mean(generation.probabilities),
            tokens=candidate.scored_tokens(keep),
            end_probability=_end_probability(generation) if stop is None else 0.0,
            trigger=self._task.request.trigger,
            adapters=self.prompt.adapters,
            explanation=self._explain(generation, stop.rule if stop else generation.finish_reason.value),
        )

    def _explain(self, generation: Generation, ended_by: str) -> Explanation:
        engine = self._worker.engine
        return Explanation(
            model=generation.model or (engine.info.name if engine is not None else ""),
            host=generation.host,
            notice=generation.notice,
            template=self.prompt.template,
            adapters=self.prompt.adapters,
            multiline=self._task.rules.multiline,
            timings=generation.timings,
            speculation=engine.info.speculation.reason if engine is not None else "",
            parts=self.prompt.parts,
            layout=self.prompt.layout,
            length=self.prompt.length,
            snippets=self.prompt.snippet_reason,
            memory=generation.memory,
            ended_by=ended_by,
        )

    async def _generate(
        self, variant: Callable[[Prompt], Prompt], sampling: SamplingParams
    ) -> tuple[Generation, ...] | None:
        """Ask the engine, again without each adapter that it refuses and with a shorter prompt if it must be.

        None if a reload came between.

        Args:
            variant: makes the prompt to evaluate of the task's.
            sampling: how tokens are drawn.
        """
        listeners = [candidate.on_token for candidate in self._candidates]
        while self._worker.engine is not None:
            try:
                generations = await self._worker.generate(
                    variant(self.prompt), sampling, self._cancel, listeners
                )
                self.held_ms += self._candidates[0].held_ms
                return tuple(map(_without_hold, generations, self._candidates))
            except PromptTooColdError:
                short = self._task.shorten()
                if short is None:
                    return None
                self.prompt = evolve(short, adapters=self.prompt.adapters)
            except AdapterError as error:
                self._go_on_without(error)
            except NotANumberError:
                if not self.prompt.adapters or any(candidate.tokens for candidate in self._candidates):
                    raise
                self._go_on_without(_exploding(self.prompt.adapters))
        return None

    def _go_on_without(self, error: AdapterError) -> None:
        left = tuple(adapter for adapter in self.prompt.adapters if adapter != error.adapter)
        self._on_refused(error)
        self.prompt = evolve(self.prompt, adapters=left)

    def _stream(self, kept: str = "") -> _CandidateStream:
        check = StopCheck(self._task.rules, kept)
        return _CandidateStream(check, lambda text: _agree(text, self._typed), self._hold, kept)


def _without_hold(generation: Generation, candidate: _CandidateStream) -> Generation:
    """Return a generation whose decoding is not charged with the time for which its first token was held."""
    decode_ms = generation.timings.decode_ms - candidate.held_ms
    return evolve(generation, timings=evolve(generation.timings, decode_ms=max(0.0, decode_ms)))


def _exploding(adapters: Sequence[AppliedAdapter]) -> AdapterError:
    """Return the error that names the strongest adapter, under which the model computes no numbers."""
    adapter = max(adapters, key=lambda candidate: abs(candidate.scale))
    return AdapterError(
        adapter,
        f"With the adapter {adapter.path} the model computes what is no number.",
        "Lower its scale, or train it again with a lower learning rate.",
    )


def _agree(text: str, typed: str) -> bool:
    """Tell whether one is the beginning of the other."""
    return text.startswith(typed) or typed.startswith(text)


def _end_probability(generation: Generation) -> float:
    """Return the probability of the end token; 0 where the model did not end the text itself."""
    ended = generation.finish_reason is FinishReason.END and generation.probabilities
    return generation.probabilities[-1] if ended else 0.0


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values) if values else 0.0
