"""Wrap an engine so that a model generates on after the server's stop rules have ended the answer.

One generation then gives both the text that is served and the text that the model generates by itself, until
its own end token or a limit. The completer gets the same generation as without the wrapper. Every generation
begins with an empty KV cache, so that an answer and its cost depend on its hole alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from attrs import field, frozen

from fim_lsp.engine.base import CancelToken, Engine, OnToken
from fim_lsp.engine.mirror import Mirror
from fim_lsp.engine.sampling import Logits
from fim_lsp.types import (
    FinishReason,
    Generation,
    ModelInfo,
    Prompt,
    SamplingParams,
    StreamedToken,
    Timings,
    Tokenizer,
)
from training.evaluate.nll import Score, Scorer, middle_score


@frozen
class OverrunGeneration:
    """A generation with its overrun."""

    written: str = field(repr=False)
    """All text that the model generated."""
    finish: FinishReason
    """END if the model ended by itself; STOPPED if it used up the overrun."""
    first_token_s: float
    """Time of the first token, or of the end: :func:`time.perf_counter`, seconds."""
    overrun_ms: float
    """Time spent after the server's stop rules ended the answer, scoring included; no user would wait for
    it."""
    prompt: Prompt = field(repr=False)
    score: Score | None = None


class OverrunEngine:
    """An engine around another one, for one hole after the other, on one thread at a time."""

    def __init__(self, engine: Engine, overrun: int, scorer: Scorer | None = None) -> None:
        self._engine = engine
        self._overrun = overrun
        self._scorer = scorer
        self.middle = ""
        """The true middle of the next hole, for the scorer alone."""
        self.observed: OverrunGeneration | None = None
        """The last generation that was no retry."""

    @property
    def info(self) -> ModelInfo:
        """The inner engine's info."""
        return self._engine.info

    @property
    def tokenizer(self) -> Tokenizer:
        """The inner engine's tokenizer."""
        return self._engine.tokenizer

    def generate(
        self, prompt: Prompt, sampling: SamplingParams, cancel: CancelToken, on_tokens: Sequence[OnToken]
    ) -> tuple[Generation, ...]:
        """Generate with an empty KV cache, the first generation with an overrun.

        The first generation is returned as if ``on_token`` had ended it. The others have no overrun: the
        first is the model's own answer, even if the server then shows another one.
        """
        if sampling.excluded_prefix:  # the server's retry, which begins with the first try's KV cache
            return self._engine.generate(prompt, sampling, cancel, on_tokens)
        mirror: Mirror | None = getattr(self._engine, "mirror", None)
        if mirror is not None:
            mirror.clear()
        overrun = _Overrun(on_tokens[0], self._overrun)
        whole, *others = self._engine.generate(prompt, sampling, cancel, (overrun.on_token, *on_tokens[1:]))
        ended_s = time.perf_counter()
        score = middle_score(prompt, self.middle, self._scorer) if self._scorer else None
        overrun_s = time.perf_counter() - (overrun.stopped_s or ended_s)
        self.observed = OverrunGeneration(
            whole.text, whole.finish_reason, overrun.first_s or ended_s, overrun_s * 1000, prompt, score
        )
        return (overrun.cut(whole), *others)

    def logits(self, prompt: Prompt, rows: int = 1) -> Logits:
        """See :meth:`fim_lsp.engine.base.Engine.logits`."""
        return self._engine.logits(prompt, rows)

    def prefill(self, prompt: Prompt, cancel: CancelToken) -> Timings:
        """Evaluate nothing, because every generation must begin with an empty KV cache."""
        return Timings()

    def save_one(self) -> None:
        """Save nothing, for the same reason."""

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()


class _Overrun:
    """Passes tokens on until ``on_token`` ends the generation, then lets ``overrun`` more tokens come."""

    def __init__(self, on_token: OnToken, overrun: int) -> None:
        self._on_token = on_token
        self._left = overrun
        self._passed: list[StreamedToken] = []
        self.first_s: float | None = None
        self.stopped_s: float | None = None

    def on_token(self, token: StreamedToken) -> bool:
        if self.first_s is None:
            self.first_s = time.perf_counter()
        if self.stopped_s is not None:
            self._left -= 1
            return self._left > 0
        self._passed.append(token)
        if not self._on_token(token):
            self.stopped_s = time.perf_counter()
            return self._left > 0
        return True

    def cut(self, whole: Generation) -> Generation:
        """Cut the overrun off a generation."""
        if self.stopped_s is None:
            return whole
        count = len(self._passed)
        timings = Timings(
            queued_ms=whole.timings.queued_ms,
            prefill_ms=whole.timings.prefill_ms,
            decode_ms=self._passed[-1].elapsed_ms,
            evaluated_tokens=whole.timings.evaluated_tokens,
            reused_tokens=whole.timings.reused_tokens,
            generated_tokens=count,
        )
        text = "".join(token.text for token in self._passed)
        return Generation(text, FinishReason.STOPPED, timings, whole.probabilities[:count])
