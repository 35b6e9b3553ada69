"""One llama.cpp context and its KV cache: evaluate tokens, read logits, and keep the mirror true."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import llama_cpp
import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from fim_lsp.engine.base import DecodeError
from fim_lsp.engine.kv_state_file import Payload
from fim_lsp.engine.llama.batch import Batch, Row
from fim_lsp.engine.mirror import Mirror, Slot
from fim_lsp.engine.sampling import Logits
from fim_lsp.engine.sequence import ReusePlan
from fim_lsp.types import Prompt

_ABORTED = 2
"""Status of llama_decode after the abort callback fired."""


@frozen(eq=False)
class KvCache:
    """The KV cache of a context. Decodes append to the mirror's current sequence."""

    context: Any = field(repr=False)
    mirror: Mirror = field(repr=False)
    """The tokens that each sequence holds at least."""
    batch: Batch = field(repr=False)
    vocabulary_size: int
    memory: Any = field(repr=False)

    @memory.default
    def _get_memory(self) -> Any:
        return llama_cpp.llama_get_memory(self.context)

    def decode(self, tokens: Sequence[int], *, logits: int) -> bool:
        """Evaluate tokens behind those of the current sequence. Return False if aborted.

        Args:
            tokens: As many as fit into a batch.
            logits: Number of last tokens whose logits :meth:`logits` can return afterwards.

        Raises:
            DecodeError: the native library refused.
        """
        mirrored, sequence = self.mirror.tokens, self.mirror.current
        self.batch.fill(tokens, sequence, len(mirrored), logits=logits)
        status = llama_cpp.llama_decode(self.context, self.batch.native)
        if status == 0:
            mirrored.extend(tokens)
            return True
        # The ubatches before the failed one stay evaluated: read from the cache how many tokens that is.
        mirrored.extend(tokens[: max(0, self.held(sequence) - len(mirrored))])
        return _aborted(status, len(tokens))

    def decode_side_by_side(self, tokens: Sequence[tuple[int, int]]) -> bool:
        """Evaluate one token in each of several sequences at once. Return False if aborted.

        Args:
            tokens: Pairs of sequence and token. Rows come in this order; llama.cpp computes sequences with
                ascending ids without gaps together, and others one after another (0.3.36).

        Raises:
            DecodeError: the native library refused.
        """
        mirrored = [self.mirror.states[sequence].tokens for sequence, _ in tokens]
        rows = [
            Row(token, sequence, len(before))
            for (sequence, token), before in zip(tokens, mirrored, strict=True)
        ]
        self.batch.fill_rows(rows)
        status = llama_cpp.llama_decode(self.context, self.batch.native)
        for row, before in zip(rows, mirrored, strict=True):
            if status == 0 or self.held(row.sequence) > row.position:
                before.append(row.token)
        return status == 0 or _aborted(status, len(rows))

    def logits(self, row: int = -1) -> Logits:
        """Return a row of logits of the last decode, shape (vocabulary,), valid until the next one.

        A negative row counts from the batch's end. Rows from 0 on need logits of the whole batch.
        """
        values = llama_cpp.llama_get_logits_ith(self.context, row)
        return np.ctypeslib.as_array(values, (self.vocabulary_size,))

    def last_logits(self, count: int) -> list[Logits]:
        """Return the last ``count`` rows of logits of the last decode; see :meth:`logits`."""
        return [self.logits(row) for row in range(-count, 0)]

    def held(self, sequence: int) -> int:
        """Return how many tokens a sequence holds; the mirror may list fewer."""
        return int(llama_cpp.llama_memory_seq_pos_max(self.memory, sequence)) + 1

    def drop_beyond(self, keep: int) -> bool:
        """Drop the current sequence's tokens from index ``keep`` on. Return False if the cache can't."""
        if len(self.mirror.tokens) <= keep:
            return True
        del self.mirror.tokens[keep:]
        return self._drop(self.mirror.current, keep)

    def clear_current(self) -> None:
        """Drop all tokens of the current sequence."""
        self.mirror.tokens.clear()
        self._drop(self.mirror.current, 0)

    def assign(self, slot: Slot, prompt: Prompt, *, background: bool) -> ReusePlan:
        """Make the slot's sequence the current one, with the tokens that its plan keeps and no others.

        Returns:
            The plan; one that evaluates everything if the cache can't drop a tail (recurrent models).
        """
        self.mirror.assign(slot, prompt, background=background)
        sequence, source = slot.choice.sequence, slot.choice.source
        if source is not None:
            # Whole: llama.cpp can't copy a part from one stream of its cache to another (0.3.36).
            self._drop(sequence, 0)
            llama_cpp.llama_memory_seq_cp(self.memory, source, sequence, -1, -1)
        if self._drop(sequence, slot.plan.keep):
            return slot.plan
        self._drop(sequence, 0)
        return self.mirror.drop_current(slot.plan)

    def save(self, sequence: int) -> Payload | None:
        """Copy a sequence into bytes (23 kB a token of SmolLM2; a few milliseconds for hundreds).

        Returns:
            The bytes. None if the mirror lists no tokens, if the sequence does not hold just those that it
            lists, or if llama.cpp wrote fewer bytes than it announced.
        """
        tokens = len(self.mirror.states[sequence].tokens)
        # The cache may hold more than the mirror lists, after an abort or a cleared mirror.
        self._drop(sequence, tokens)
        if not tokens or self.held(sequence) != tokens:
            return None
        data = np.empty(llama_cpp.llama_state_seq_get_size(self.context, sequence), np.uint8)
        written = llama_cpp.llama_state_seq_get_data(self.context, _pointer(data), len(data), sequence)
        return data.data if written == len(data) else None

    def restore(self, sequence: int, payload: Payload, tokens: Sequence[int]) -> bool:
        """Replace what a sequence holds by saved bytes, which hold ``tokens``.

        Returns:
            Whether llama.cpp read all bytes and holds so many tokens now. If not, the sequence is empty.
        """
        tokens = tuple(tokens)
        mirrored = self.mirror.states[sequence].tokens
        mirrored.clear()
        self._drop(sequence, 0)
        data = np.frombuffer(payload, np.uint8)
        read = llama_cpp.llama_state_seq_set_data(self.context, _pointer(data), len(data), sequence)
        if read != len(data) or self.held(sequence) != len(tokens):
            self._drop(sequence, 0)
            return False
        mirrored.extend(tokens)
        return True

    @contextmanager
    def forked(self, window: range) -> Iterator[tuple[int, ...]]:
        """Turn the sequences of ``window`` into copies of the current one, which is among them.

        Yields the ids of the copies. What those sequences held is kept in memory as bytes meanwhile, and is
        restored at the end, whatever happens.
        """
        current, states = self.mirror.current, self.mirror.states
        others = [sequence for sequence in window if sequence != current]
        saved = {other: (tuple(states[other].tokens), self.save(other)) for other in others}
        copy = self.save(current)
        try:
            yield tuple(other for other in others if self._replace(other, copy, self.mirror.tokens))
        finally:
            for other, (tokens, payload) in saved.items():
                self._replace(other, payload, tokens)

    def _replace(self, sequence: int, payload: Payload | None, tokens: Sequence[int]) -> bool:
        """Restore a sequence from bytes, or empty it if there are none."""
        if payload is not None:
            return self.restore(sequence, payload, tokens)
        self.mirror.states[sequence].tokens.clear()
        self._drop(sequence, 0)
        return False

    def _drop(self, sequence: int, keep: int) -> bool:
        """Drop a sequence's tokens from index ``keep`` on. Return False if the cache can't."""
        return bool(llama_cpp.llama_memory_seq_rm(self.memory, sequence, keep, -1))


def _pointer(data: npt.NDArray[np.uint8]) -> Any:
    return data.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))


def _aborted(status: int, count: int) -> bool:
    """Return False for an abort.

    Raises:
        DecodeError: for any other status.
    """
    if status == _ABORTED:
        return False
    raise DecodeError(f"llama.cpp refused a batch of {count} tokens (status {status}).")
