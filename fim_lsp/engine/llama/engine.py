"""Evaluate, sample, decode: the hot loop. Everything here runs on the inference thread."""

from __future__ import annotations

import codecs
import ctypes
import math
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import llama_cpp
import numpy as np
from attrs import evolve, field, frozen

from fim_lsp.engine.base import CancelToken, DecodeError, OnPiece, PromptTooLongError
from fim_lsp.engine.llama.adapters import LoadedAdapters
from fim_lsp.engine.llama.threads import Threads
from fim_lsp.engine.llama.tokenizer import LlamaTokenizer
from fim_lsp.engine.mirror import Mirror, Seat
from fim_lsp.engine.parking import Parking
from fim_lsp.engine.sampling import Logits, sample
from fim_lsp.engine.sequence import Plan
from fim_lsp.engine.vocabulary import Vocabulary
from fim_lsp.settings import ModelSettings
from fim_lsp.types import (
    FinishReason,
    Generation,
    ModelInfo,
    Piece,
    Prompt,
    SamplingParams,
    Timings,
)

_ABORTED = 2
"""What llama_decode returns when the abort callback fired."""
_NOT_NUMBERS = (
    "The model computed something that is no number.",
    "Lower the scale of its adapters, or check the file: fim-lsp model verify.",
)


class _Batch:
    """One persistent llama_batch behind numpy arrays: 3.7 us to fill against 428 us through ctypes."""

    def __init__(self, capacity: int) -> None:
        self.native = llama_cpp.llama_batch_init(capacity, 0, 1)
        self._tokens = np.ctypeslib.as_array(self.native.token, (capacity,))
        self._positions = np.ctypeslib.as_array(self.native.pos, (capacity,))
        self._logits = np.ctypeslib.as_array(self.native.logits, (capacity,))
        np.ctypeslib.as_array(self.native.n_seq_id, (capacity,))[:] = 1

    def fill(self, tokens: Sequence[int], sequence: int, position: int, *, want_logits: bool) -> None:
        count = len(tokens)
        self.native.n_tokens = count
        for row in range(count):
            self.native.seq_id[row][0] = sequence
        self._tokens[:count] = tokens
        self._positions[:count] = np.arange(position, position + count)
        self._logits[:count] = 0
        self._logits[count - 1] = want_logits

    def free(self) -> None:
        llama_cpp.llama_batch_free(self.native)


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
    _parking: Parking | None = field(default=None, repr=False)
    _strlen: Any = field(factory=_strlen, repr=False)
    _batch: _Batch = field(repr=False)
    _memory: Any = field(repr=False)

    @_batch.default
    def _make_batch(self) -> _Batch:
        return _Batch(self._settings.batch_tokens)

    @_memory.default
    def _get_memory(self) -> Any:
        return llama_cpp.llama_get_memory(self._context)

    def generate(
        self, prompt: Prompt, sampling: SamplingParams, cancel: CancelToken, on_piece: OnPiece
    ) -> Generation:
        """See :meth:`fim_lsp.engine.base.Engine.generate`."""
        started = time.perf_counter()
        seat = self._find_seat(prompt, background=False)
        assert seat is not None  # only background work may go without
        with self._abortable(cancel):
            plan = self._take(seat, prompt, background=False)
            before = len(self.mirror.tokens)
            ready = self._evaluate(plan.pending, cancel)
            prefill = Timings(
                prefill_ms=_ms_since(started),
                evaluated_tokens=len(self.mirror.tokens) - before,
                reused_tokens=plan.keep,
            )
            if not ready:
                return Generation("", FinishReason.CANCELLED, prefill)
            generation = self._decode(prompt, plan, sampling, cancel, on_piece)
            decode = generation.timings
            timings = evolve(
                prefill,
                decode_ms=decode.decode_ms,
                generated_tokens=decode.generated_tokens,
                threads=self.threads.count,
            )
            return evolve(generation, timings=timings)

    def prefill(self, prompt: Prompt, cancel: CancelToken) -> Timings:
        """See :meth:`fim_lsp.engine.base.Engine.prefill`."""
        started = time.perf_counter()
        seat = self._find_seat(prompt, background=True)
        if seat is None:
            return Timings()
        with self._abortable(cancel):
            plan = self._take(seat, prompt, background=True)
            before = len(self.mirror.tokens)
            self._evaluate(plan.pending, cancel)
            evaluated = len(self.mirror.tokens) - before
            return Timings(prefill_ms=_ms_since(started), evaluated_tokens=evaluated, reused_tokens=plan.keep)

    def warm_up(self) -> None:
        """Evaluate a token, so that the first request does not wait for weights to come from the disk."""
        self._decode_batch((0,), want_logits=True)
        self.mirror.clear()

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

    def _find_seat(self, prompt: Prompt, *, background: bool) -> Seat | None:
        """Choose a sequence, and refuse the prompt while nothing is touched yet."""
        self._adapters.load(prompt.adapters)
        pieces, encode = self._vocabulary.pieces, self.tokenizer.encode
        seat = self.mirror.find_seat(prompt, pieces, encode, background=background)
        if seat is not None and seat.plan.prompt_tokens >= self.info.context:
            raise PromptTooLongError(
                f"The prompt of {seat.plan.prompt_tokens} tokens fills the context window of "
                f"{self.info.context}.",
                "Raise model.contextTokens or lower prompt.maxTokens.",
            )
        if seat is not None and self._parking is not None and self._parking.fetch(prompt, seat, pieces):
            return self.mirror.find_seat(prompt, pieces, encode, background=background)
        return seat

    def _take(self, seat: Seat, prompt: Prompt, *, background: bool) -> Plan:
        """Make the sequence hold what the plan keeps and nothing else."""
        if prompt.adapters != self._adapters.applied:
            self._adapters.apply(prompt.adapters)
        if self._parking is not None:
            self._parking.leave(seat, prompt)
        self.mirror.take(seat, prompt, background=background)
        sequence, source = seat.choice.sequence, seat.choice.source
        if source is not None:
            # Whole: llama.cpp can't copy a part from one stream of its cache to another (0.3.36).
            llama_cpp.llama_memory_seq_rm(self._memory, sequence, -1, -1)
            llama_cpp.llama_memory_seq_cp(self._memory, source, sequence, -1, -1)
        if llama_cpp.llama_memory_seq_rm(self._memory, sequence, seat.plan.keep, -1):
            return seat.plan
        # Recurrent models can only drop everything.
        llama_cpp.llama_memory_seq_rm(self._memory, sequence, -1, -1)
        return self.mirror.drop_current(seat.plan)

    def _evaluate(self, tokens: Sequence[int], cancel: CancelToken) -> bool:
        """Evaluate in batches; False when cancelled. What was evaluated stays, in cache and mirror alike."""
        # GPU backends take no abort callback: hand them small pieces and look in between.
        step = self._settings.batch_tokens if self._settings.gpu_layers == 0 else self._settings.ubatch_tokens
        for start in range(0, len(tokens), step):
            part = tokens[start : start + step]
            last = start + step >= len(tokens)
            if cancel.cancelled or not self._decode_batch(part, want_logits=last):
                return False
        return True

    def _decode_batch(self, tokens: Sequence[int], *, want_logits: bool) -> bool:
        mirrored, sequence = self.mirror.tokens, self.mirror.current
        self._batch.fill(tokens, sequence, len(mirrored), want_logits=want_logits)
        started = time.perf_counter()
        status = llama_cpp.llama_decode(self._context, self._batch.native)
        if status == 0:
            if len(tokens) == 1:
                self.threads.decoded(_ms_since(started))
            mirrored.extend(tokens)
            return True
        # The ubatches before the failed one stay evaluated: the cache says how far it got.
        held = llama_cpp.llama_memory_seq_pos_max(self._memory, sequence) + 1
        mirrored.extend(tokens[: max(0, held - len(mirrored))])
        if status == _ABORTED:
            return False
        raise DecodeError(f"llama.cpp refused a batch of {len(tokens)} tokens (status {status}).")

    def _logits(self) -> Logits:
        row = llama_cpp.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(row, (len(self._vocabulary.pieces),))

    def _decode(
        self,
        prompt: Prompt,
        plan: Plan,
        sampling: SamplingParams,
        cancel: CancelToken,
        on_piece: OnPiece,
    ) -> Generation:
        """Sample token by token. The last one sampled is not evaluated; the next request does if it must."""
        decoding = time.perf_counter()
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        rng = np.random.default_rng(sampling.seed)
        healing = plan.healed
        text: list[str] = []
        probabilities: list[float] = []
        reason = FinishReason.LENGTH
        room = min(sampling.max_tokens, self.info.context - len(self.mirror.tokens))
        while len(probabilities) < room:
            allowed = self._vocabulary.beginning_with(healing) if healing else None
            if allowed is not None and not allowed.size:
                healing, allowed = b"", None
            token, probability = sample(self._logits(), sampling, rng, allowed)
            if math.isnan(probability):
                raise DecodeError(*_NOT_NUMBERS)
            probabilities.append(probability)
            if token in prompt.stop_ids or self.tokenizer.is_end(token):
                reason = FinishReason.END
                break
            piece = self._vocabulary.pieces[token]
            piece, healing = piece[len(healing) :], healing[len(piece) :]
            text.append(decoder.decode(piece))
            if not on_piece(Piece(text[-1], probability, _ms_since(decoding))):
                reason = FinishReason.STOPPED
                break
            if len(probabilities) == room:
                break
            if cancel.cancelled or not self._decode_batch((token,), want_logits=True):
                reason = FinishReason.CANCELLED
                break
        timings = Timings(decode_ms=_ms_since(decoding), generated_tokens=len(probabilities))
        return Generation("".join(text), reason, timings, tuple(probabilities))

    def park(self) -> Future[None] | None:
        """See :meth:`fim_lsp.engine.base.Engine.park`."""
        return self._parking.park_one() if self._parking is not None else None

    def close(self) -> None:
        """Park what was evaluated, then free adapters, context and weights, in that order."""
        if self._parking is not None:
            self._parking.close()
        self.mirror.clear()
        self.tokenizer.close()
        self._batch.free()
        self._adapters.close()
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
