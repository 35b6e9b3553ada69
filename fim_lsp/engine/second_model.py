"""Two models as one engine, for an experiment: a prompt says which of them is to answer.

Prompts are built for the first one, and built anew for the second, which may have another vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future

from attrs import evolve, frozen

from fim_lsp.engine.base import CancelToken, Engine, OnToken
from fim_lsp.engine.sampling import Logits
from fim_lsp.types import Generation, ModelInfo, Prompt, SamplingParams, Timings, Tokenizer


@frozen(eq=False)
class SecondModelEngine:
    """A first model, which prompts are built for, and a second one."""

    first: Engine
    second: Engine
    rebuild: Callable[[Prompt, Engine, int | None], Prompt]
    """Builds a prompt anew for an engine, in at most so many tokens."""

    @property
    def info(self) -> ModelInfo:
        """Facts about the first model."""
        return self.first.info

    @property
    def tokenizer(self) -> Tokenizer:
        """The first model's tokenizer."""
        return self.first.tokenizer

    def generate(
        self, prompt: Prompt, sampling: SamplingParams, cancel: CancelToken, on_tokens: Sequence[OnToken]
    ) -> tuple[Generation, ...]:
        """See :meth:`fim_lsp.engine.base.Engine.generate`; the answer of the second model names it."""
        if not prompt.second_model:
            return self.first.generate(prompt, sampling, cancel, on_tokens)
        generations = self.second.generate(
            self.rebuild(prompt, self.second, None), sampling, cancel, on_tokens
        )
        name = self.second.info.name
        return tuple(evolve(generation, model=generation.model or name) for generation in generations)

    def logits(self, prompt: Prompt, rows: int = 1) -> Logits:
        """See :meth:`fim_lsp.engine.base.Engine.logits`, for the first model."""
        return self.first.logits(prompt, rows)

    def prefill(self, prompt: Prompt, cancel: CancelToken) -> Timings:
        """See :meth:`fim_lsp.engine.base.Engine.prefill`."""
        if not prompt.second_model:
            return self.first.prefill(prompt, cancel)
        return self.second.prefill(self.rebuild(prompt, self.second, None), cancel)

    def save_one(self) -> Future[None] | None:
        """See :meth:`fim_lsp.engine.base.Engine.save_one`."""
        return self.first.save_one() or self.second.save_one()

    def close(self) -> None:
        """Close both."""
        try:
            self.first.close()
        finally:
            self.second.close()
