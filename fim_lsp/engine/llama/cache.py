"""One context and its KV cache: tokens in, logits out, and the mirror true at every moment."""

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
from fim_lsp.engine.llama.batch import Batch, Row
from fim_lsp.engine.mirror import Mirror
from fim_lsp.engine.sampling import Logits

_ABORTED = 2
"""What llama_decode returns when the abort callback fired."""
_State = npt.NDArray[np.uint8]


@frozen(eq=False)
class KvCache:
    """What is evaluated, and how more of it gets in. Decodes go to the mirror's current sequence."""

    context: Any = field(repr=False)
    mirror: Mirror = field(repr=False)
    """What the cache holds, as far as we know."""
    batch: Batch = field(repr=False)
    vocabulary_size: int
    memory: Any = field(repr=False)

    @memory.default
    def _get_memory(self) -> Any:
        return llama_cpp.llama_get_memory(self.context)

    def decode(self, tokens: Sequence[int], *, logits: int) -> bool:
        """Evaluate tokens behind those that the current sequence holds; False if aborted.

        Args:
            tokens: As many as fit into a batch.
            logits: Of how many of the last tokens :meth:`logits` will be asked.

        Raises:
            DecodeError: the native library refused.
        """
        mirrored, sequence = self.mirror.tokens, self.mirror.current
        self.batch.fill(tokens, sequence, len(mirrored), logits=logits)
        status = llama_cpp.llama_decode(self.context, self.batch.native)
        if status == 0:
            mirrored.extend(tokens)
            return True
        # The ubatches before the failed one stay evaluated: the cache says how far it got.
        mirrored.extend(tokens[: max(0, self._held(sequence) - len(mirrored))])
        return _aborted(status, len(tokens))

    def decode_side_by_side(self, tokens: Sequence[tuple[int, int]]) -> bool:
        """Evaluate one token in each of several sequences at once; False if aborted.

        Args:
            tokens: Pairs of sequence and token. Rows come in this order; llama.cpp computes sequences with
                ascending ids without gaps together, and others one after another (0.3.36).

        Raises:
            DecodeError: the native library refused.
        """
        held = [self.mirror.states[sequence].tokens for sequence, _ in tokens]
        rows = [Row(token, at, len(before)) for (at, token), before in zip(tokens, held, strict=True)]
        self.batch.fill_rows(rows)
        status = llama_cpp.llama_decode(self.context, self.batch.native)
        for row, before in zip(rows, held, strict=True):
            if status == 0 or self._held(row.sequence) > row.position:
                before.append(row.token)
        return status == 0 or _aborted(status, len(rows))

    def logits(self, row: int = -1) -> Logits:
        """Logits of the last decode; rows count from its end, or from its beginning if it wanted all."""
        values = llama_cpp.llama_get_logits_ith(self.context, row)
        return np.ctypeslib.as_array(values, (self.vocabulary_size,))

    def drop_beyond(self, keep: int) -> bool:
        """Forget what the current sequence holds beyond so many tokens; False where the cache can't."""
        if len(self.mirror.tokens) <= keep:
            return True
        del self.mirror.tokens[keep:]
        return bool(llama_cpp.llama_memory_seq_rm(self.memory, self.mirror.current, keep, -1))

    def clear_current(self) -> None:
        """Forget all that the current sequence holds."""
        self.mirror.tokens.clear()
        llama_cpp.llama_memory_seq_rm(self.memory, self.mirror.current, -1, -1)

    @contextmanager
    def forked(self, window: range) -> Iterator[tuple[int, ...]]:
        """Lend the sequences of ``window`` to copies of the current one, which is among them.

        Yields the ids of those that are copies now. What they held waits in memory, as bytes (23 kB a token
        of SmolLM2; a few milliseconds for hundreds), and is put back at the end, whatever happens.
        """
        current, states = self.mirror.current, self.mirror.states
        others = [sequence for sequence in window if sequence != current]
        lent = {other: (list(states[other].tokens), self._save(other)) for other in others}
        copy = self._save(current)
        try:
            yield tuple(other for other in others if self._put(other, self.mirror.tokens, copy))
        finally:
            for other, (tokens, state) in lent.items():
                self._put(other, tokens, state)

    def _save(self, sequence: int) -> _State:
        """A sequence as bytes; none if it holds nothing."""
        if not self.mirror.states[sequence].tokens:
            return np.empty(0, np.uint8)
        size = llama_cpp.llama_state_seq_get_size(self.context, sequence)
        state = np.empty(size, np.uint8)
        written = llama_cpp.llama_state_seq_get_data(self.context, _bytes(state), size, sequence)
        return state[:written]

    def _put(self, sequence: int, tokens: Sequence[int], state: _State) -> bool:
        """Make a sequence what another one, or it, was; whether that came off. Else it is empty."""
        mirrored = self.mirror.states[sequence].tokens
        tokens = tuple(tokens)
        mirrored.clear()
        llama_cpp.llama_memory_seq_rm(self.memory, sequence, -1, -1)
        if not state.size:
            return False
        if not llama_cpp.llama_state_seq_set_data(self.context, _bytes(state), state.size, sequence):
            llama_cpp.llama_memory_seq_rm(self.memory, sequence, -1, -1)
            return False
        # What is there beyond the mirror's tokens goes with the sequence's next use.
        mirrored.extend(tokens)
        return True

    def _held(self, sequence: int) -> int:
        """How many tokens a sequence holds."""
        return int(llama_cpp.llama_memory_seq_pos_max(self.memory, sequence)) + 1


def _bytes(state: _State) -> Any:
    return state.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))


def _aborted(status: int, count: int) -> bool:
    """False for an abort.

    Raises:
        DecodeError: for anything else.
    """
    if status == _ABORTED:
        return False
    raise DecodeError(f"llama.cpp refused a batch of {count} tokens (status {status}).")
