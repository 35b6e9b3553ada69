"""Evaluate, sample, decode: the hot loop. Everything here runs on the inference thread."""

from __future__ import annotations

import codecs
import ctypes
import sys
import time
from collections.abc import Sequence
from typing import Any

import llama_cpp
import numpy as np
from attrs import evolve, field, frozen

from fim_lsp.engine.base import CancelToken, DecodeError, OnPiece, PromptTooLongError
from fim_lsp.engine.llama.tokenizer import LlamaTokenizer
from fim_lsp.engine.sampling import Logits, sample
from fim_lsp.engine.sequence import Plan, plan_reuse
from fim_lsp.engine.vocabulary import Vocabulary
from fim_lsp.settings import ModelSettings
from fim_lsp.types import FinishReason, Generation, ModelInfo, Piece, Prompt, SamplingParams, Timings

_ABORTED = 2
"""What llama_decode returns when the abort callback fired."""


class _Batch:
    """One persistent llama_batch behind numpy arrays: 3.7 us to fill against 428 us through ctypes."""

    def __init__(self, capacity: int) -> None:
        self.native = llama_cpp.llama_batch_init(capacity, 0, 1)
        self._tokens = np.ctypeslib.as_array(self.native.token, (capacity,))
        self._positions = np.ctypeslib.as_array(self.native.pos, (capacity,))
        self._logits = np.ctypeslib.as_array(self.native.logits, (capacity,))
        np.ctypeslib.as_array(self.native.n_seq_id, (capacity,))[:] = 1
        for row in range(capacity):
            self.native.seq_id[row][0] = 0

    def fill(self, tokens: Sequence[int], position: int, *, want_logits: bool) -> None:
        count = len(tokens)
        self.native.n_tokens = count
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
    """A model with one context and one sequence, mirrored token by token. Made by :func:`open_llama`."""

    info: ModelInfo
    tokenizer: LlamaTokenizer = field(repr=False)
    _model: Any = field(repr=False)
    _context: Any = field(repr=False)
    _vocabulary: Vocabulary = field(repr=False)
    _settings: ModelSettings = field(repr=False)
    mirror: list[int] = field(factory=list, repr=False)
    """The tokens that the KV cache holds. Truncated *before* the cache, appended to after a decode."""
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
        plan = self._plan(prompt)
        llama_cpp.llama_set_abort_callback(
            self._context, self._strlen, ctypes.cast(cancel.buffer, ctypes.c_void_p)
        )
        try:
            before = len(self.mirror)
            ready = self._evaluate(plan.pending, cancel)
            prefill = Timings(
                prefill_ms=_ms_since(started),
                evaluated_tokens=len(self.mirror) - before,
                reused_tokens=plan.keep,
            )
            if not ready:
                return Generation("", FinishReason.CANCELLED, prefill)
            generation = self._decode(prompt, plan, sampling, cancel, on_piece)
            decode = generation.timings
            timings = evolve(prefill, decode_ms=decode.decode_ms, generated_tokens=decode.generated_tokens)
            return evolve(generation, timings=timings)
        finally:
            # The buffer may be freed once the request is gone; llama.cpp must not read it then.
            llama_cpp.llama_set_abort_callback(self._context, llama_cpp.ggml_abort_callback(0), None)

    def warm_up(self) -> None:
        """Evaluate a token, so that the first request does not wait for weights to come from the disk."""
        self._decode_batch((0,), want_logits=True)
        self._truncate(Plan(0, ()))

    def _plan(self, prompt: Prompt) -> Plan:
        plan = plan_reuse(
            self.mirror,
            prompt.head,
            prompt.tail,
            self._vocabulary.pieces,
            self.tokenizer.encode,
            heal=prompt.heal,
        )
        if plan.prompt_tokens >= self.info.context:
            raise PromptTooLongError(
                f"The prompt of {plan.prompt_tokens} tokens fills the context window of {self.info.context}.",
                "Raise model.contextTokens or lower prompt.maxTokens.",
            )
        return self._truncate(plan)

    def _truncate(self, plan: Plan) -> Plan:
        """Drop what the plan does not keep; recurrent models can only drop everything."""
        dropped = tuple(self.mirror[: plan.keep])
        del self.mirror[plan.keep :]
        if llama_cpp.llama_memory_seq_rm(self._memory, 0, plan.keep, -1):
            return plan
        self.mirror.clear()
        llama_cpp.llama_memory_clear(self._memory, False)
        return Plan(0, (*dropped, *plan.pending), plan.healed)

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
        self._batch.fill(tokens, len(self.mirror), want_logits=want_logits)
        status = llama_cpp.llama_decode(self._context, self._batch.native)
        if status == 0:
            self.mirror.extend(tokens)
            return True
        # The ubatches before the failed one stay evaluated: the cache says how far it got.
        held = llama_cpp.llama_memory_seq_pos_max(self._memory, 0) + 1
        self.mirror.extend(tokens[: max(0, held - len(self.mirror))])
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
        room = min(sampling.max_tokens, self.info.context - len(self.mirror))
        while len(probabilities) < room:
            allowed = self._vocabulary.beginning_with(healing) if healing else None
            if allowed is not None and not allowed.size:
                healing, allowed = b"", None
            token, probability = sample(self._logits(), sampling, rng, allowed)
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

    def close(self) -> None:
        """Free context and weights, in that order."""
        self.mirror.clear()
        self.tokenizer.close()
        self._batch.free()
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
