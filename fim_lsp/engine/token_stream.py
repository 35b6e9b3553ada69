"""One answer while it is sampled: from logits to tokens, from tokens to text, and when it is over.

Knows nothing of where logits come from, so that decoding token by token, from drafts and side by side is one
and the same thing to whoever listens.
"""

from __future__ import annotations

import codecs
import math
import time

import numpy as np
import numpy.typing as npt
from attrs import define, evolve, field

from fim_lsp.engine.base import DecodeError, OnToken
from fim_lsp.engine.sampling import Logits, likeliest, probability_of, sample
from fim_lsp.engine.vocabulary import Vocabulary
from fim_lsp.types import FinishReason, Generation, SamplingParams, StreamedToken, Timings

_NOT_NUMBERS = (
    "The model computed something that is no number.",
    "Lower the scale of its adapters, or check the file: fim-lsp model verify.",
)


_FEW = 16
"""Tokens looked at for another beginning: markers and parts of the healed word may be among the likeliest."""


@define
class TokenStream:
    """An answer that grows. ``reason`` says why it is over, once it is."""

    vocabulary: Vocabulary = field(repr=False)
    ends: frozenset[int]
    """Tokens that end the answer."""
    sampling: SamplingParams
    room: int
    """Most tokens to sample."""
    on_token: OnToken
    healing: bytes = b""
    """What the next tokens must spell before they are free: the word that the cursor cut in half."""
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
        """Tokens sampled so far, one that ended the answer included."""
        return len(self._probabilities)

    @property
    def left(self) -> int:
        """Tokens that may still be sampled."""
        return self.room - self.count

    @property
    def silent(self) -> bool:
        """Whether what was sampled so far only spelled the healed word."""
        return not any(self._text)

    def sample(self, logits: Logits) -> int:
        """Choose the next token and say it.

        Raises:
            DecodeError: the logits are no numbers.
        """
        token, probability = sample(logits, self.sampling, self._rng, self._allowed())
        other = self._instead_of(token, probability, logits)
        if other is not None:
            token, probability = other, probability_of(logits, other)
        self._say(token, probability)
        return token

    def sample_next_best(self, logits: Logits, taken: set[int]) -> int | None:
        """Say the likeliest token that is not ``taken``, does not end the answer and says something new.

        None if there is no such token among the first few.
        """
        token = self._next_best(logits, taken)
        if token is not None:
            self._say(token, probability_of(logits, token))
        return token

    def _next_best(self, logits: Logits, taken: set[int]) -> int | None:
        for token in likeliest(logits, len(taken) + _FEW, self._allowed()):
            new = len(self.vocabulary.pieces[token]) > len(self.healing)
            if token not in taken and new and token not in self.ends and not self._unwanted(token):
                return token
        return None

    def _unwanted(self, token: int) -> bool:
        """Whether a token would begin the answer like the text that it is not to begin like."""
        piece = self.vocabulary.pieces[token][len(self.healing) :]
        return self.silent and bool(piece) and self.sampling.excluded_prefix.encode().startswith(piece)

    def _instead_of(self, token: int, probability: float, logits: Logits) -> int | None:
        """What is taken instead of the token that sampling chose, in three places.

        The first is where the answer would begin like one that is not wanted; the others are for greedy
        sampling alone.

        At the beginning what there might be to say is spread over many tokens, so that the end can be the
        likeliest of them and yet unlikely: it is taken where it is likelier than all others together. Later
        a small model goes on with another line too often; the end bias says by how much.
        """
        if self.sampling.excluded_prefix and self._unwanted(token):
            return self._next_best(logits, {token})
        if self.sampling.temperature > 0:
            return None
        if token in self.ends:
            return self._next_best(logits, {token}) if self.silent and probability < 0.5 else None
        if self.silent or not self._end_ids.size or b"\n" not in self.vocabulary.pieces[token]:
            return None
        end = int(self._end_ids[logits[self._end_ids].argmax()])
        return end if logits[end] + self.sampling.end_bias > logits[token] else None

    def branch_off(self, other: TokenStream) -> None:
        """Begin where ``other`` is: behind the tokens that it has sampled, which said nothing yet."""
        self.healing, self.room = other.healing, other.room - other.count

    def generation(self, timings: Timings) -> Generation:
        """The answer, with what it cost; one that nothing ended was cancelled."""
        timings = evolve(timings, decode_ms=self._elapsed_ms(), generated_tokens=self.count)
        reason = self.reason or FinishReason.CANCELLED
        return Generation("".join(self._text), reason, timings, tuple(self._probabilities))

    def _allowed(self) -> npt.NDArray[np.int64] | None:
        allowed = self.vocabulary.beginning_with(self.healing) if self.healing else None
        if allowed is not None and not allowed.size:
            self.healing, allowed = b"", None
        return allowed

    def _say(self, token: int, probability: float) -> None:
        if math.isnan(probability):
            raise DecodeError(*_NOT_NUMBERS)
        self._probabilities.append(probability)
        if token in self.ends:
            self.reason = FinishReason.END
            return
        piece = self.vocabulary.pieces[token]
        piece, self.healing = piece[len(self.healing) :], self.healing[len(piece) :]
        self._text.append(self._decoder.decode(piece))
        if not self.on_token(StreamedToken(self._text[-1], probability, self._elapsed_ms())):
            self.reason = FinishReason.STOPPED
        elif self.count == self.room:
            self.reason = FinishReason.LENGTH

    def _elapsed_ms(self) -> float:
        return (time.perf_counter() - self._started) * 1000
