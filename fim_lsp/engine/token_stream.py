"""One generation while it is sampled: from logits to tokens, and from tokens to text, until it ends.

It does not know where logits come from. Decoding token by token, with drafts, or several streams side by side
all use the same stream.
"""

from __future__ import annotations

import codecs
import math
import time

import numpy as np
import numpy.typing as npt
from attrs import define, evolve, field

from fim_lsp.engine.base import NotANumberError, OnToken
from fim_lsp.engine.memory.mixture import MixedRow
from fim_lsp.engine.memory.stream import MemoryStream
from fim_lsp.engine.sampling import Logits, entropy_of, likeliest, probability_of, sample
from fim_lsp.engine.vocabulary import Vocabulary
from fim_lsp.types import FinishReason, Generation, MemoryUse, SamplingParams, StreamedToken, Timings

_NOT_NUMBERS = (
    "The model computed something that is no number.",
    "Lower the scale of its adapters, or check the file: fim-lsp model verify.",
)
_SEARCHED = 16
"""Tokens searched for another beginning: markers and parts of the healed word may be among the likeliest."""


@define
class TokenStream:
    """The tokens and text of one generation. ``reason`` is set when it ends."""

    vocabulary: Vocabulary = field(repr=False)
    ends: frozenset[int]
    """Tokens that end the generation."""
    sampling: SamplingParams
    limit: int
    """Most tokens to sample."""
    on_token: OnToken
    healing: bytes = b""
    """Bytes that the next tokens must spell: the rest of the word that the cursor cut in half."""
    memory: MemoryStream | None = field(default=None, repr=False)
    """The votes of the repository memory; None for the model alone."""
    spelling: tuple[int, ...] = field(default=(), repr=False)
    """The tokenizer's own tokens for ``healing``; empty for any spelling."""
    reason: FinishReason | None = None
    _text: list[str] = field(factory=list, init=False)
    _probabilities: list[float] = field(factory=list, init=False)
    _started: float = field(factory=time.perf_counter, init=False)
    _decoder: codecs.IncrementalDecoder = field(
        factory=lambda: codecs.getincrementaldecoder("utf-8")("replace"), init=False
    )
    _rng: np.random.Generator = field(init=False)
    _end_ids: npt.NDArray[np.int64] = field(init=False, repr=False)

    @_rng.default
    def _make_rng(self) -> np.random.Generator:
        return np.random.default_rng(self.sampling.seed)

    @_end_ids.default
    def _list_end_ids(self) -> npt.NDArray[np.int64]:
        return np.array(sorted(self.ends), dtype=np.int64)

    @property
    def count(self) -> int:
        """Tokens sampled so far, with an end token if there was one."""
        return len(self._probabilities)

    @property
    def remaining(self) -> int:
        """Tokens that may still be sampled."""
        return self.limit - self.count

    @property
    def has_text(self) -> bool:
        """True once a token added text beyond the healed word."""
        return any(self._text)

    def sample(self, logits: Logits) -> int:
        """Sample the next token and emit it.

        Args:
            logits: One row, shape (vocabulary,).

        Raises:
            NotANumberError: the logits are no numbers.
        """
        allowed = self._allowed()
        row = self._mixed(logits, allowed)
        token, probability = sample(row.logits, self.sampling, self._rng, allowed, row.log_total)
        replacement = self._replacement(token, probability, row.logits)
        if replacement is not None:
            token, probability = replacement, probability_of(row.logits, replacement, row.log_total)
        self._emit(token, probability, row.logits)
        return token

    def sample_next_best(self, logits: Logits, taken: set[int]) -> int | None:
        """Emit the likeliest token that is not ``taken``, ends nothing, and adds text.

        Returns:
            The token; None if there is none among the likeliest few.
        """
        row = self._mixed(logits, self._allowed())
        token = self._next_best(row.logits, taken)
        if token is not None:
            self._emit(token, probability_of(row.logits, token, row.log_total), row.logits)
        return token

    def branch_off(self, other: TokenStream) -> None:
        """Continue behind the tokens that ``other`` has sampled, which have no text yet."""
        self.healing, self.limit = other.healing, other.limit - other.count
        self.spelling = other.spelling
        self.memory = other.memory.copy() if other.memory is not None else None

    def generation(self, timings: Timings) -> Generation:
        """Return the generation with its cost. One that nothing ended was cancelled."""
        timings = evolve(timings, decode_ms=self._elapsed_ms(), generated_tokens=self.count)
        reason = self.reason or FinishReason.CANCELLED
        use = MemoryUse()
        if self.memory is not None:
            use = MemoryUse(self.memory.decided, *self.memory.longest_match())
        return Generation("".join(self._text), reason, timings, tuple(self._probabilities), use)

    def _mixed(self, logits: Logits, allowed: npt.NDArray[np.int64] | None) -> MixedRow:
        """Return the mixture with the votes of the repository memory; the row itself without one."""
        return MixedRow(logits) if self.memory is None else self.memory.mix(logits, allowed)

    def _replacement(self, token: int, probability: float, logits: Logits) -> int | None:
        """Return the token to emit instead of the sampled one, in three cases; otherwise None.

        1. The text would begin with ``excluded_prefix``: the next best token.
        2. Greedy sampling ends the generation before any text, though the end is less likely than all other
           tokens together: the next best token. Probability is spread over many first tokens, so that the end
           can be the likeliest of them and still be unlikely.
        3. Greedy sampling begins another line, and the best end token is within ``end_bias`` nats: that end
           token. A small model continues with another line too often.
        """
        if self.sampling.excluded_prefix and self._is_excluded(token):
            return self._next_best(logits, {token})
        if self.sampling.temperature > 0:
            return None
        if token in self.ends:
            return self._next_best(logits, {token}) if not self.has_text and probability < 0.5 else None
        if not self.has_text or not self._end_ids.size or b"\n" not in self.vocabulary.pieces[token]:
            return None
        end = int(self._end_ids[logits[self._end_ids].argmax()])
        return end if logits[end] + self.sampling.end_bias > logits[token] else None

    def _next_best(self, logits: Logits, taken: set[int]) -> int | None:
        for token in likeliest(logits, len(taken) + _SEARCHED, self._allowed()):
            adds_text = len(self.vocabulary.pieces[token]) > len(self.healing)
            if token not in taken and adds_text and token not in self.ends and not self._is_excluded(token):
                return token
        return None

    def _is_excluded(self, token: int) -> bool:
        """Return whether the text would begin like ``excluded_prefix`` with this token."""
        piece = self.vocabulary.pieces[token][len(self.healing) :]
        excluded = self.sampling.excluded_prefix.encode()
        return not self.has_text and bool(piece) and excluded.startswith(piece)

    def _allowed(self) -> npt.NDArray[np.int64] | None:
        """Return the ids that can spell the healed word, or None for all. Drop the word if none can.

        A token shorter than the word must be the tokenizer's own next one. The likeliest of all shorter ones
        is often a space or a letter, which the model expects for the sake of other words; then it would read
        a word in letters, and the repository memory would find no such tokens anywhere.
        """
        if not self.healing:
            return None
        own = [token for token in self.spelling[:1] if len(self.vocabulary.pieces[token]) < len(self.healing)]
        allowed = self.vocabulary.beginning_with(self.healing, own if self.spelling else None)
        if not allowed.size:
            self.healing = b""
            return None
        return allowed

    def _emit(self, token: int, probability: float, logits: Logits) -> None:
        if math.isnan(probability):
            raise NotANumberError(*_NOT_NUMBERS)
        self._probabilities.append(probability)
        if token in self.ends:
            self.reason = FinishReason.END
            return
        piece = self.vocabulary.pieces[token]
        piece, self.healing = piece[len(self.healing) :], self.healing[len(piece) :]
        self.spelling = self.spelling[1:]
        self._text.append(self._decoder.decode(piece))
        if self.memory is not None:
            self.memory.advance(token, self._text[-1])
        streamed = StreamedToken(self._text[-1], probability, self._elapsed_ms(), entropy_of(logits))
        if not self.on_token(streamed):
            self.reason = FinishReason.STOPPED
        elif self.count == self.limit:
            self.reason = FinishReason.LENGTH

    def _elapsed_ms(self) -> float:
        return (time.perf_counter() - self._started) * 1000
