"""The llama.cpp engine: find a slot, evaluate the prompt, decode. All of it runs on the inference thread."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import llama_cpp
import numpy as np
from attrs import evolve, field, frozen

from fim_lsp.engine.base import (
    CancelToken,
    DecodeError,
    OnToken,
    PromptTooColdError,
    PromptTooLongError,
)
from fim_lsp.engine.kv_state_store import KvStateSaver
from fim_lsp.engine.llama.adapters import LoadedAdapters
from fim_lsp.engine.llama.cache import KvCache
from fim_lsp.engine.llama.decoding import decode_stream, decode_streams
from fim_lsp.engine.llama.threads import Threads
from fim_lsp.engine.llama.tokenizer import LlamaTokenizer
from fim_lsp.engine.memory import ChunkEncoder
from fim_lsp.engine.memory.gate import Gate, load_gate
from fim_lsp.engine.memory.stream import LineBreaks, MemoryIndex
from fim_lsp.engine.mirror import Mirror, Slot
from fim_lsp.engine.sampling import Logits
from fim_lsp.engine.sequence import LONGEST_WORD, ReusePlan
from fim_lsp.engine.speculation import Drafter, Speculator
from fim_lsp.engine.token_stream import TokenStream
from fim_lsp.engine.vocabulary import Vocabulary
from fim_lsp.gguf_keys import MEMORY_GATE
from fim_lsp.settings import ModelSettings
from fim_lsp.types import FinishReason, Generation, ModelInfo, Prompt, SamplingParams, Timings

_LOST_S = 0.15
"""Seconds of work in the background that an abort may lose."""
_FEWEST_TOKENS = 8
"""Tokens of a batch in the background: smaller ones cost more a token."""
_LETTER = "x"
"""Stands for a word that the user types next."""
_ROWS_AHEAD = 1 + LONGEST_WORD
"""Rows of logits that the next key may need: behind the prompt, and before each token of its last word."""


def _strlen() -> Any:
    """Return libc's strlen as an abort callback: a non-empty string aborts, and no Python runs."""
    libc = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None)
    return ctypes.cast(libc.strlen, llama_cpp.ggml_abort_callback)


@frozen(eq=False)
class LlamaEngine:
    """A model with one context of several sequences. Opened by :func:`open_llama`."""

    info: ModelInfo
    tokenizer: LlamaTokenizer = field(repr=False)
    cache: KvCache = field(repr=False)
    threads: Threads = field(repr=False)
    _model: Any = field(repr=False)
    _vocabulary: Vocabulary = field(repr=False)
    _settings: ModelSettings = field(repr=False)
    _adapters: LoadedAdapters = field(repr=False)
    kv_states: KvStateSaver | None = field(default=None, repr=False)
    """Saves and restores evaluated sequences; None to save none."""
    abort_callback: Any = field(factory=_strlen, repr=False)
    """Called by llama.cpp after each node of the graph with the address of :attr:`CancelToken.buffer`."""
    _speculator: Speculator = field(init=False, repr=False)
    _chunks: ChunkEncoder = field(init=False, repr=False)
    _gate: Gate = field(init=False, repr=False)
    _line_breaks: LineBreaks = field(init=False, repr=False)
    _indexing: ThreadPoolExecutor = field(
        factory=lambda: ThreadPoolExecutor(1, "memory-index"), init=False, repr=False
    )
    """Indexes the repository memory while the inference thread evaluates."""

    @_speculator.default
    def _make_speculator(self) -> Speculator:
        return Speculator(self.info.speculation)

    @_chunks.default
    def _make_chunks(self) -> ChunkEncoder:
        return ChunkEncoder(self.tokenizer.encode)

    @_line_breaks.default
    def _count_line_breaks(self) -> LineBreaks:
        return np.array([piece.count(b"\n") for piece in self._vocabulary.pieces], np.int64)

    @_gate.default
    def _read_gate(self) -> Gate:
        return load_gate(self.info.metadata.get(MEMORY_GATE))

    @property
    def mirror(self) -> Mirror:
        """The mirror of the KV cache."""
        return self.cache.mirror

    def generate(
        self, prompt: Prompt, sampling: SamplingParams, cancel: CancelToken, on_tokens: Sequence[OnToken]
    ) -> tuple[Generation, ...]:
        """See :meth:`fim_lsp.engine.base.Engine.generate`; at most one generation for each sequence."""
        started = time.perf_counter()
        most = min(len(self.mirror.states), self._settings.batch_tokens)
        slot = self._find_slot(prompt, background=False)
        assert slot is not None  # only background work can be left without one
        PromptTooColdError.check(prompt, len(slot.plan.pending))
        with self._abortable(cancel):
            plan = self._assign(slot, prompt, background=False)
            before = len(self.mirror.tokens)
            # Beside the evaluation, which leaves Python to other threads.
            indexing = self._indexing.submit(self._memory_index, prompt, plan)
            completed = self._evaluate(plan.pending, cancel)
            timings = Timings(
                prefill_ms=_ms_since(started),
                evaluated_tokens=len(self.mirror.tokens) - before,
                reused_tokens=plan.keep,
            )
            if not completed or cancel.cancelled:
                return (Generation("", FinishReason.CANCELLED, timings),)
            evaluated, logits = tuple(self.mirror.tokens), self.mirror.logits
            if logits is None:
                raise DecodeError("There is nothing to continue: the prompt has no tokens.")
            memory = indexing.result()
            streams = [
                self._token_stream(prompt, plan, sampling, on_token, memory) for on_token in on_tokens[:most]
            ]
            if len(streams) == 1:
                drafter = self._drafter(prompt, sampling)
                cost = decode_stream(*(self.cache, logits, streams[0], cancel, drafter, self.threads.record))
            else:
                cost = decode_streams(self.cache, logits, streams, cancel)
            # Kept anew, as the row used last: the next key of the same word needs it before all others.
            self.mirror.kept_logits.keep(prompt.adapters, evaluated, logits)
            timings = evolve(
                timings,
                decodes=cost.decodes,
                drafted_tokens=cost.drafted_tokens,
                accepted_tokens=cost.accepted_tokens,
                threads=self.threads.count,
            )
            return tuple(stream.generation(timings) for stream in streams if stream.count)

    def logits(self, prompt: Prompt, rows: int = 1) -> Logits:
        """See :meth:`fim_lsp.engine.base.Engine.logits`."""
        prompt = evolve(prompt, heal=False)
        slot = self._find_slot(prompt, background=False)
        assert slot is not None  # only background work can be left without one
        plan = self._assign(self.mirror.reevaluate(slot, rows), prompt, background=False)
        self._evaluate(plan.pending[:-rows], CancelToken())
        last, step = plan.pending[-rows:], self._settings.batch_tokens
        logits = np.empty((rows, len(self._vocabulary.pieces)), np.float32)
        for start in range(0, rows, step):
            part = last[start : start + step]
            self.cache.decode(part, logits=len(part))
            for row in range(len(part)):
                logits[start + row] = self.cache.logits(row)
        return logits

    def prefill(self, prompt: Prompt, cancel: CancelToken) -> Timings:
        """See :meth:`fim_lsp.engine.base.Engine.prefill`."""
        started = time.perf_counter()
        prompt = _before_next_key(prompt)
        slot = self._find_slot(prompt, background=True)
        if slot is None:
            return Timings()
        PromptTooColdError.check(prompt, len(slot.plan.pending))
        with self._abortable(cancel):
            plan = self._assign(slot, prompt, background=True)
            before = len(self.mirror.tokens)
            # The document is tokenised now, so that the first key at this place does not wait for it.
            # An error comes again when a generation needs the index.
            self._indexing.submit(self._memory_index, prompt, plan)
            self._evaluate(plan.pending, cancel, self._interruptible_tokens(), _ROWS_AHEAD)
            evaluated = len(self.mirror.tokens) - before
            return Timings(
                prefill_ms=_ms_since(started),
                evaluated_tokens=evaluated,
                reused_tokens=plan.keep,
                threads=self.threads.prefill_count,
            )

    def save_one(self) -> Future[None] | None:
        """See :meth:`fim_lsp.engine.base.Engine.save_one`."""
        return self.kv_states.save_one() if self.kv_states is not None else None

    def close(self) -> None:
        """Save the KV states, then free adapters, context and weights, in that order."""
        if self.kv_states is not None:
            self.kv_states.close()
        self._indexing.shutdown()
        self.mirror.clear()
        self.tokenizer.close()
        self.cache.batch.free()
        self._adapters.close()
        llama_cpp.llama_free(self.cache.context)
        llama_cpp.llama_model_free(self._model)

    @contextmanager
    def _abortable(self, cancel: CancelToken) -> Iterator[None]:
        """Let llama.cpp check a cancel flag while it computes."""
        llama_cpp.llama_set_abort_callback(
            self.cache.context, self.abort_callback, ctypes.cast(cancel.buffer, ctypes.c_void_p)
        )
        try:
            yield
        finally:
            # The buffer may be freed once the request is done; llama.cpp must not read it then.
            llama_cpp.llama_set_abort_callback(self.cache.context, llama_cpp.ggml_abort_callback(0), None)

    def _find_slot(self, prompt: Prompt, *, background: bool) -> Slot | None:
        """Choose a sequence, and refuse the prompt before anything is dropped."""
        self._adapters.load(prompt.adapters)
        pieces, encode = self._vocabulary.pieces, self.tokenizer.encode
        slot = self.mirror.find_slot(prompt, pieces, encode, background=background)
        if slot is not None and slot.plan.prompt_tokens >= self.info.context:
            raise PromptTooLongError(
                f"The prompt of {slot.plan.prompt_tokens} tokens fills the context window of "
                f"{self.info.context}.",
                "Raise model.contextTokens or lower prompt.maxTokens.",
            )
        if slot is not None and self.kv_states is not None and self.kv_states.restore(prompt, slot, pieces):
            return self.mirror.find_slot(prompt, pieces, encode, background=background)
        return slot

    def _assign(self, slot: Slot, prompt: Prompt, *, background: bool) -> ReusePlan:
        """Prepare context and cache for the prompt: its adapters, and the tokens that its plan keeps."""
        if prompt.adapters != self._adapters.applied:
            self._adapters.apply(prompt.adapters)
        if self.kv_states is not None:
            self.kv_states.save_evicted(slot, prompt)
        return self.cache.assign(slot, prompt, background=background)

    def _interruptible_tokens(self) -> int:
        """Return the tokens of a batch in the background: an abort loses what it has evaluated of one."""
        fewest = int(self.info.prefill_tokens_per_s * _LOST_S)
        return min(max(fewest, _FEWEST_TOKENS), self._settings.batch_tokens)

    def _evaluate(
        self, tokens: Sequence[int], cancel: CancelToken, step: int | None = None, rows: int = 1
    ) -> bool:
        """Evaluate tokens in batches, and keep the logits behind the last ``rows`` of them.

        Returns:
            False when cancelled; the tokens evaluated by then stay.
        """
        # GPU backends take no abort callback: use small batches there, and check between them.
        if step is None or self._settings.gpu_layers != 0:
            on_cpu = self._settings.gpu_layers == 0
            step = self._settings.batch_tokens if on_cpu else self._settings.ubatch_tokens
        for start in range(0, len(tokens), step):
            part = tokens[start : start + step]
            behind = len(tokens) - start - len(part)
            logits = min(max(0, rows - behind), len(part))
            if cancel.cancelled:
                return False
            with self.threads.prefilling(len(part)):
                if not self.cache.decode(part, logits=logits):
                    return False
            self.mirror.keep_logits(self.cache.last_logits(logits))
        return True

    def _token_stream(
        self,
        prompt: Prompt,
        plan: ReusePlan,
        sampling: SamplingParams,
        on_token: OnToken,
        memory: MemoryIndex | None,
    ) -> TokenStream:
        ends = self._vocabulary.ends | prompt.stop_ids
        limit = min(sampling.max_tokens, self.info.context - len(self.mirror.tokens))
        votes = memory.begin() if memory is not None else None
        return TokenStream(
            *(self._vocabulary, ends, sampling, limit, on_token),
            *(plan.healed, votes, plan.spelling),
        )

    def _memory_index(self, prompt: Prompt, plan: ReusePlan) -> MemoryIndex | None:
        """Index what may vote on the prompt's tokens; None for the model alone."""
        if prompt.memory is None:
            return None
        return MemoryIndex.of(prompt.memory, self._chunks, self._gate, plan.healed, self._line_breaks)

    def _drafter(self, prompt: Prompt, sampling: SamplingParams) -> Drafter | None:
        """Return drafts if they pay. Drafts of random samples would be wrong too often."""
        if not self.info.speculation.draft_tokens or sampling.temperature > 0:
            return None
        return self._speculator.begin(self.mirror.tokens, self.tokenizer.encode(prompt.draft))


def _before_next_key(prompt: Prompt) -> Prompt:
    """Return the prompt whose tokens the next key needs, whichever it is.

    A last word is evaluated too: a letter needs the logits before it, which are kept, and all else the word.
    Of blanks all but one are evaluated: that one belongs to the next word.
    """
    if not prompt.heal:
        return prompt
    if prompt.tail[-1:].isspace():
        return evolve(prompt, tail=prompt.tail + _LETTER)
    return evolve(prompt, heal=False)


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
