"""Evaluate, sample, decode: the hot loop. Everything here runs on the inference thread."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import llama_cpp
import numpy as np
from attrs import evolve, field, frozen

from fim_lsp.engine.base import CancelToken, OnToken, PromptTooLongError
from fim_lsp.engine.kv_state_store import KvStateSaver
from fim_lsp.engine.llama.adapters import LoadedAdapters
from fim_lsp.engine.llama.batch import Batch
from fim_lsp.engine.llama.cache import KvCache
from fim_lsp.engine.llama.decoding import decode_stream, decode_streams
from fim_lsp.engine.llama.draft_cost import can_drop, draft_cost
from fim_lsp.engine.llama.threads import Threads
from fim_lsp.engine.llama.tokenizer import LlamaTokenizer
from fim_lsp.engine.mirror import Mirror, Slot
from fim_lsp.engine.sampling import Logits
from fim_lsp.engine.sequence import ReusePlan
from fim_lsp.engine.speculation import DRAFT_TOKENS, Drafter, Speculator, decide
from fim_lsp.engine.token_stream import TokenStream
from fim_lsp.engine.vocabulary import Vocabulary
from fim_lsp.settings import ModelSettings
from fim_lsp.types import (
    FinishReason,
    Generation,
    ModelInfo,
    Prompt,
    SamplingParams,
    Speculation,
    Timings,
)


def _strlen() -> Any:
    """Make libc's strlen an abort callback: a non-empty string aborts, and no Python runs."""
    libc = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None)
    return ctypes.cast(libc.strlen, llama_cpp.ggml_abort_callback)


@frozen(eq=False)
class LlamaEngine:
    """A model with one context and several sequences, mirrored token by token. Made by :func:`open_llama`."""

    info: ModelInfo
    tokenizer: LlamaTokenizer = field(repr=False)
    _model: Any = field(repr=False)
    _context: Any = field(repr=False)
    _vocabulary: Vocabulary = field(repr=False)
    _settings: ModelSettings = field(repr=False)
    _adapters: LoadedAdapters = field(repr=False)
    mirror: Mirror = field(repr=False)
    """What the KV cache holds, as far as we know."""
    threads: Threads = field(repr=False)
    _kv_states: KvStateSaver | None = field(default=None, repr=False)
    _strlen: Any = field(factory=_strlen, repr=False)
    _cache: KvCache = field(repr=False)

    _speculator: Speculator = field(init=False, repr=False)

    @_speculator.default
    def _make_speculator(self) -> Speculator:
        return Speculator(self.info.speculation)

    @_cache.default
    def _make_cache(self) -> KvCache:
        batch = Batch(self._settings.batch_tokens)
        return KvCache(self._context, self.mirror, batch, len(self._vocabulary.pieces))

    def generate(
        self, prompt: Prompt, sampling: SamplingParams, cancel: CancelToken, on_tokens: Sequence[OnToken]
    ) -> tuple[Generation, ...]:
        """See :meth:`fim_lsp.engine.base.Engine.generate`; no more than there are sequences."""
        started = time.perf_counter()
        most = min(len(self.mirror.states), self._settings.batch_tokens)
        slot = self._find_slot(prompt, background=False)
        assert slot is not None  # only background work may go without
        with self._abortable(cancel):
            plan = self._take(slot, prompt, background=False)
            before = len(self.mirror.tokens)
            ready = self._evaluate(plan.pending, cancel)
            timings = Timings(
                prefill_ms=_ms_since(started),
                evaluated_tokens=len(self.mirror.tokens) - before,
                reused_tokens=plan.keep,
            )
            if not ready:
                return (Generation("", FinishReason.CANCELLED, timings),)
            streams = [self._token_stream(prompt, plan, sampling, on_token) for on_token in on_tokens[:most]]
            if len(streams) == 1:
                drafter = self._drafter(prompt, sampling)
                cost = decode_stream(self._cache, streams[0], cancel, drafter, self.threads.decoded)
            else:
                cost = decode_streams(self._cache, streams, cancel)
            timings = evolve(
                timings,
                decodes=cost.decodes,
                drafted_tokens=cost.drafted_tokens,
                accepted_tokens=cost.accepted_tokens,
                threads=self.threads.count,
            )
            return tuple(stream.generation(timings) for stream in streams if stream.count)

    def _drafter(self, prompt: Prompt, sampling: SamplingParams) -> Drafter | None:
        """Drafts, where they pay; what is drawn can't be foreseen by them."""
        if not self.info.speculation.draft_tokens or sampling.temperature > 0:
            return None
        return self._speculator.begin(self.mirror.tokens, self.tokenizer.encode(prompt.draft))

    def _token_stream(
        self, prompt: Prompt, plan: ReusePlan, sampling: SamplingParams, on_token: OnToken
    ) -> TokenStream:
        ends = self._vocabulary.ends | prompt.stop_ids
        room = min(sampling.max_tokens, self.info.context - len(self.mirror.tokens))
        return TokenStream(self._vocabulary, ends, sampling, room, on_token, plan.healed)

    def prefill(self, prompt: Prompt, cancel: CancelToken) -> Timings:
        """See :meth:`fim_lsp.engine.base.Engine.prefill`."""
        started = time.perf_counter()
        slot = self._find_slot(prompt, background=True)
        if slot is None:
            return Timings()
        with self._abortable(cancel):
            plan = self._take(slot, prompt, background=True)
            before = len(self.mirror.tokens)
            self._evaluate(plan.pending, cancel)
            evaluated = len(self.mirror.tokens) - before
            return Timings(prefill_ms=_ms_since(started), evaluated_tokens=evaluated, reused_tokens=plan.keep)

    def logits(self, prompt: Prompt, rows: int = 1) -> Logits:
        """See :meth:`fim_lsp.engine.base.Engine.logits`."""
        prompt = evolve(prompt, heal=False)
        slot = self._find_slot(prompt, background=False)
        assert slot is not None  # only background work may go without
        plan = self._take(self.mirror.reevaluate(slot, rows), prompt, background=False)
        self._evaluate(plan.pending[:-rows], CancelToken())
        last, step = plan.pending[-rows:], self._settings.batch_tokens
        logits = np.empty((rows, len(self._vocabulary.pieces)), np.float32)
        for start in range(0, rows, step):
            part = last[start : start + step]
            self._cache.decode(part, logits=len(part))
            for row in range(len(part)):
                logits[start + row] = self._cache.logits(row)
        return logits

    def warm_up(self) -> None:
        """Evaluate a token, so that the first request does not wait for weights to come from the disk."""
        self._cache.decode((0,), logits=1)
        self.mirror.clear()

    def decide_speculation(self) -> Speculation:
        """Measure what drafts cost, where that decides whether they pay."""
        setting = self._settings.speculation
        ratio = None
        if setting != "off" and self._settings.batch_tokens <= DRAFT_TOKENS:
            return Speculation(reason="off, as model.batchTokens has no room for a token and a draft")
        if setting != "off" and can_drop(self._cache):
            ratio = draft_cost(self._cache, DRAFT_TOKENS) if setting == "auto" else 0.0
        return decide(setting, ratio)

    @contextmanager
    def _abortable(self, cancel: CancelToken) -> Iterator[None]:
        """Let llama.cpp watch a cancel flag."""
        llama_cpp.llama_set_abort_callback(
            self._context, self._strlen, ctypes.cast(cancel.buffer, ctypes.c_void_p)
        )
        try:
            yield
        finally:
            # The buffer may be freed once the request is gone; llama.cpp must not read it then.
            llama_cpp.llama_set_abort_callback(self._context, llama_cpp.ggml_abort_callback(0), None)

    def _find_slot(self, prompt: Prompt, *, background: bool) -> Slot | None:
        """Choose a sequence, and refuse the prompt while nothing is touched yet."""
        self._adapters.load(prompt.adapters)
        pieces, encode = self._vocabulary.pieces, self.tokenizer.encode
        slot = self.mirror.find_slot(prompt, pieces, encode, background=background)
        if slot is not None and slot.plan.prompt_tokens >= self.info.context:
            raise PromptTooLongError(
                f"The prompt of {slot.plan.prompt_tokens} tokens fills the context window of "
                f"{self.info.context}.",
                "Raise model.contextTokens or lower prompt.maxTokens.",
            )
        if slot is not None and self._kv_states is not None and self._kv_states.fetch(prompt, slot, pieces):
            return self.mirror.find_slot(prompt, pieces, encode, background=background)
        return slot

    def _take(self, slot: Slot, prompt: Prompt, *, background: bool) -> ReusePlan:
        """Make the sequence hold what the plan keeps and nothing else."""
        if prompt.adapters != self._adapters.applied:
            self._adapters.apply(prompt.adapters)
        if self._kv_states is not None:
            self._kv_states.leave(slot, prompt)
        self.mirror.take(slot, prompt, background=background)
        sequence, source = slot.choice.sequence, slot.choice.source
        if source is not None:
            # Whole: llama.cpp can't copy a part from one stream of its cache to another (0.3.36).
            llama_cpp.llama_memory_seq_rm(self._cache.memory, sequence, -1, -1)
            llama_cpp.llama_memory_seq_cp(self._cache.memory, source, sequence, -1, -1)
        if llama_cpp.llama_memory_seq_rm(self._cache.memory, sequence, slot.plan.keep, -1):
            return slot.plan
        # Recurrent models can only drop everything.
        llama_cpp.llama_memory_seq_rm(self._cache.memory, sequence, -1, -1)
        return self.mirror.drop_current(slot.plan)

    def _evaluate(self, tokens: Sequence[int], cancel: CancelToken) -> bool:
        """Evaluate in batches; False when cancelled. What was evaluated stays, in cache and mirror alike."""
        # GPU backends take no abort callback: hand them small pieces and look in between.
        step = self._settings.batch_tokens if self._settings.gpu_layers == 0 else self._settings.ubatch_tokens
        for start in range(0, len(tokens), step):
            part = tokens[start : start + step]
            last = start + step >= len(tokens)
            if cancel.cancelled or not self._cache.decode(part, logits=int(last)):
                return False
        return True

    def save_one(self) -> Future[None] | None:
        """See :meth:`fim_lsp.engine.base.Engine.save_one`."""
        return self._kv_states.save_one() if self._kv_states is not None else None

    def close(self) -> None:
        """Park what was evaluated, then free adapters, context and weights, in that order."""
        if self._kv_states is not None:
            self._kv_states.close()
        self.mirror.clear()
        self.tokenizer.close()
        self._cache.batch.free()
        self._adapters.close()
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
