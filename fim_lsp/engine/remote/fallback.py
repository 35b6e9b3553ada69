"""Two engines as one: a model on another server, and a local one that answers where the server does not.

A prompt is built for one of them, and built anew for the other, which has another vocabulary and template.
Where the server breaks off in the middle of an answer, the local model goes on behind the text so far.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Literal, Protocol

from attrs import evolve

from fim_lsp.engine.base import CancelToken, Engine, OnToken, PromptTooColdError
from fim_lsp.engine.prefill_speed import PrefillSpeed
from fim_lsp.engine.remote.errors import RemoteError
from fim_lsp.engine.sampling import Logits
from fim_lsp.settings import SHORTEST_PROMPT
from fim_lsp.types import FinishReason, Generation, ModelInfo, Prompt, SamplingParams, Timings, Tokenizer

logger = logging.getLogger(__name__)

Rebuild = Callable[[Prompt, Engine, int | None], Prompt]
"""Builds a prompt anew for an engine, with at most so many tokens where a number is given."""

_COLD_MS = 300.0
"""Milliseconds of prefill that the user waits for when the local model has to answer at once."""


class RemoteModel(Engine, Protocol):
    """An engine on another server."""

    @property
    def connected(self) -> bool:
        """True once it is known what the server is."""

    @property
    def available(self) -> bool:
        """True if a request may be sent now."""

    @property
    def partial(self) -> Generation:
        """The beginning of the last answer that broke off."""

    def connect(self) -> None:
        """Ask what the server is, or raise RemoteError."""


class FallbackEngine:
    """A remote model, and a local one that answers where it does not.

    Args:
        remote: The model on another server. If it is connected by now, prompts are built for it.
        local: The model in this process; otherwise prompts are built for it.
        rebuild: Builds a prompt anew for the other one.
        first: The one that is asked first. The other answers where it fails, or where the local one writes
            nothing.
    """

    def __init__(
        self,
        remote: RemoteModel,
        local: Engine,
        rebuild: Rebuild,
        first: Literal["remote", "local"] = "remote",
    ) -> None:
        self._remote = remote
        self._local = local
        self._rebuild = rebuild
        self._first = first
        self._built_for: Engine = remote if remote.connected else local
        self._failing = False
        # Corrected by each answer: where a build takes the cores, the next prompt is shorter.
        self._local_speed = PrefillSpeed(local.info.prefill_tokens_per_s)
        host = remote.info.host
        # A rate of 0: the prompt is not shortened for the local model, which answers as an exception.
        self.info: ModelInfo = evolve(
            self._built_for.info, host=host, notice=self._notice(), prefill_tokens_per_s=0.0
        )

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the model that prompts are built for."""
        return self._built_for.tokenizer

    def generate(
        self, prompt: Prompt, sampling: SamplingParams, cancel: CancelToken, on_tokens: Sequence[OnToken]
    ) -> tuple[Generation, ...]:
        """See :meth:`fim_lsp.engine.base.Engine.generate`; the answer names the model and the host."""
        if self._first == "local":
            return self._local_first(prompt, sampling, cancel, on_tokens)
        try:
            generations = self._ask_remote(prompt, sampling, cancel, on_tokens)
        except RemoteError as error:
            return self._go_on(self._remote.partial, error, prompt, sampling, cancel, on_tokens)
        self._failing = False
        return generations

    def logits(self, prompt: Prompt, rows: int = 1) -> Logits:
        """See :meth:`fim_lsp.engine.base.Engine.logits`; a server refuses."""
        return self._built_for.logits(prompt, rows)

    def prefill(self, prompt: Prompt, cancel: CancelToken) -> Timings:
        """Evaluate a prompt in the local model, if that is asked first or the server does not answer."""
        if self._first == "local" or self._failing:
            return self._local.prefill(self._for_local(prompt), cancel)
        return Timings()

    def save_one(self) -> Future[None] | None:
        """See :meth:`fim_lsp.engine.base.Engine.save_one`, for the local model."""
        return self._local.save_one()

    def close(self) -> None:
        """Close both."""
        try:
            self._remote.close()
        finally:
            self._local.close()

    def _notice(self) -> str | None:
        notices = (self._built_for.info.notice, self._local.info.notice)
        return " ".join(dict.fromkeys(filter(None, notices))) or None

    def _ask_remote(
        self, prompt: Prompt, sampling: SamplingParams, cancel: CancelToken, on_tokens: Sequence[OnToken]
    ) -> tuple[Generation, ...]:
        self._remote.connect()
        if self._built_for is not self._remote:
            prompt = self._rebuild(prompt, self._remote, None)
        return self._remote.generate(prompt, sampling, cancel, on_tokens)

    def _local_first(
        self, prompt: Prompt, sampling: SamplingParams, cancel: CancelToken, on_tokens: Sequence[OnToken]
    ) -> tuple[Generation, ...]:
        """Ask the local model, and the server where that writes nothing."""
        generations = self._ask_local(prompt, sampling, cancel, on_tokens)
        if any(generation.text for generation in generations) or cancel.cancelled:
            return generations
        try:
            return self._ask_remote(prompt, sampling, cancel, on_tokens)
        except RemoteError as error:
            logger.debug("%s", error)
            return generations

    def _go_on(
        self,
        partial: Generation,
        error: RemoteError,
        prompt: Prompt,
        sampling: SamplingParams,
        cancel: CancelToken,
        on_tokens: Sequence[OnToken],
    ) -> tuple[Generation, ...]:
        """Let the local model answer, behind the text that the server has sent."""
        notice = self._episode(error)
        if not partial.probabilities:
            generations = self._ask_local(prompt, sampling, cancel, on_tokens)
            return tuple(evolve(generation, notice=notice) for generation in generations)
        left = sampling.max_tokens - len(partial.probabilities)
        if left <= 0:
            return (evolve(partial, finish_reason=FinishReason.LENGTH, notice=notice),)
        sampling = evolve(sampling, max_tokens=left, excluded_prefix="")
        (rest,) = self._ask_local(prompt, sampling, cancel, on_tokens[:1], written=partial.text)
        joined = evolve(
            rest,
            text=partial.text + rest.text,
            probabilities=partial.probabilities + rest.probabilities,
            timings=partial.timings.then(rest.timings),
            host=self.info.host,
            notice=notice,
        )
        return (joined,)

    def _episode(self, error: RemoteError) -> str:
        """Return a notice if this is the first failure since the server answered; else nothing."""
        if self._failing:
            logger.debug("%s", error)
            return ""
        self._failing = True
        notice = f"{error.problem} {self._local.info.name} on this machine answers meanwhile."
        logger.warning("%s", notice)
        return notice

    def _ask_local(
        self,
        prompt: Prompt,
        sampling: SamplingParams,
        cancel: CancelToken,
        on_tokens: Sequence[OnToken],
        written: str = "",
    ) -> tuple[Generation, ...]:
        within = self._local_speed.tokens_within(_COLD_MS)
        warm = 0 if within is None else max(SHORTEST_PROMPT, within)
        try:
            own = self._for_local(prompt, written, max_pending=warm)
            generations = self._local.generate(own, sampling, cancel, on_tokens)
        except PromptTooColdError:
            # It was not asked for a while: a short prompt answers before the user goes on.
            own = self._for_local(prompt, written, most=warm or None)
            generations = self._local.generate(own, sampling, cancel, on_tokens)
        timings = generations[0].timings
        self._local_speed = self._local_speed.after(timings.evaluated_tokens, timings.prefill_ms)
        name = self._local.info.name
        return tuple(evolve(generation, model=name) for generation in generations)

    def _for_local(
        self, prompt: Prompt, written: str = "", *, most: int | None = None, max_pending: int = 0
    ) -> Prompt:
        """Return the prompt for the local model, without the adapters that are on the server alone.

        Args:
            prompt: as it was built.
            written: the beginning of the answer.
            most: tokens of the prompt, where it has to be short.
            max_pending: see :attr:`fim_lsp.types.Prompt.max_pending`.
        """
        if self._built_for is not self._local or most is not None:
            prompt = self._rebuild(prompt, self._local, most)
        files = tuple(adapter for adapter in prompt.adapters if adapter.has_file)
        prompt = evolve(prompt, adapters=files, max_pending=max_pending)
        return evolve(prompt, tail=prompt.tail + written, heal=False) if written else prompt
