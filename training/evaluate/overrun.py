"""Between completer and engine: lets a model finish where the server had heard enough.

One generation then shows both what is served and what the model does by itself: whether it ends with its own
end token, and what it would have gone on to write. The completer notices nothing. Every generation begins
with an empty KV cache, so that an answer and its cost depend on the hole alone and not on the one before.
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
    """One generation, seen to its end."""

    written: str = field(repr=False)
    finish: FinishReason
    """END only where the model ended by itself; STOPPED where it still wrote when its overrun was used up."""
    first_piece_at: float
    """When the first text, or the end, came: :func:`time.perf_counter`, seconds."""
    idle_ms: float
    """Spent after the server had heard enough; no user would wait for it."""
    prompt: Prompt = field(repr=False)
    score: Score | None = None


class OverrunEngine:
    """An engine around another one. Asked for one hole after the other, by one thread at a time."""

    def __init__(self, engine: Engine, overrun: int, scorer: Scorer | None = None) -> None:
        self._engine = engine
        self._overrun = overrun
        self._scorer = scorer
        self.middle = ""
        """The true middle of the hole that comes next; only the scorer looks at it."""
        self.seen: OverrunGeneration | None = None
        """The last generation that was a first try."""

    @property
    def info(self) -> ModelInfo:
        """The engine's."""
        return self._engine.info

    @property
    def tokenizer(self) -> Tokenizer:
        """The engine's."""
        return self._engine.tokenizer

    def generate(
        self, prompt: Prompt, sampling: SamplingParams, cancel: CancelToken, on_tokens: Sequence[OnToken]
    ) -> tuple[Generation, ...]:
        """Generate on a cold cache, the first generation past where its ``on_token`` would have ended it.

        The first one is returned as if it had ended there. Only the first is observed to its end, as it is
        what the model writes by itself, even where the server then shows another one.
        """
        if sampling.excluded_prefix:  # the server's second try, which goes on where the first left
            return self._engine.generate(prompt, sampling, cancel, on_tokens)
        mirror: Mirror | None = getattr(self._engine, "mirror", None)
        if mirror is not None:
            mirror.clear()
        listener = _Listener(on_tokens[0], self._overrun)
        listeners = (listener.hear, *on_tokens[1:])
        whole, *others = self._engine.generate(prompt, sampling, cancel, listeners)
        ended_at = time.perf_counter()
        score = middle_score(prompt, self.middle, self._scorer) if self._scorer else None
        scored_at = time.perf_counter()
        idle_s = scored_at - (listener.enough_at or ended_at)
        self.seen = OverrunGeneration(
            whole.text, whole.finish_reason, listener.first_at or ended_at, idle_s * 1000, prompt, score
        )
        return (listener.heard(whole), *others)

    def logits(self, prompt: Prompt, rows: int = 1) -> Logits:
        """See :meth:`fim_lsp.engine.base.Engine.logits`."""
        return self._engine.logits(prompt, rows)

    def prefill(self, prompt: Prompt, cancel: CancelToken) -> Timings:
        """Evaluate nothing ahead: every generation is to begin cold."""
        return Timings()

    def save_one(self) -> None:
        """Save nothing, for the same reason."""

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()


class _Listener:
    """Passes pieces on until the completer has heard enough, then counts."""

    def __init__(self, on_token: OnToken, overrun: int) -> None:
        self._on_piece = on_token
        self._left = overrun
        self._pieces: list[StreamedToken] = []
        self.first_at: float | None = None
        self.enough_at: float | None = None

    def hear(self, piece: StreamedToken) -> bool:
        if self.first_at is None:
            self.first_at = time.perf_counter()
        if self.enough_at is not None:
            self._left -= 1
            return self._left > 0
        self._pieces.append(piece)
        if not self._on_piece(piece):
            self.enough_at = time.perf_counter()
            return self._left > 0
        return True

    def heard(self, whole: Generation) -> Generation:
        """The generation as it would have been without the overrun."""
        if self.enough_at is None:
            return whole
        count = len(self._pieces)
        timings = Timings(
            queued_ms=whole.timings.queued_ms,
            prefill_ms=whole.timings.prefill_ms,
            decode_ms=self._pieces[-1].elapsed_ms,
            evaluated_tokens=whole.timings.evaluated_tokens,
            reused_tokens=whole.timings.reused_tokens,
            generated_tokens=count,
        )
        text = "".join(piece.text for piece in self._pieces)
        return Generation(text, FinishReason.STOPPED, timings, whole.probabilities[:count])
