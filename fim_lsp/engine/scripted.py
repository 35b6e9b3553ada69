"""A deterministic engine without weights, shipped so that tests need no mocks.

It keeps a mirror of "evaluated" tokens and finds slots as the real engine does, so that counts of evaluated
and reused tokens mean the same; but it keeps logits behind prompts alone, and heals nothing. Tokens are
bytes; its special tokens have ids from 256 on.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

import numpy as np
from attrs import define, evolve, field, frozen

from fim_lsp.engine.base import (
    AdapterError,
    CancelToken,
    OnToken,
    PromptTooColdError,
    PromptTooLongError,
)
from fim_lsp.engine.kv_state_file import Payload
from fim_lsp.engine.kv_state_store import KvStateSaver, KvStateStore
from fim_lsp.engine.mirror import Mirror, Slot
from fim_lsp.engine.sampling import Logits
from fim_lsp.types import (
    FinishReason,
    Generation,
    ModelInfo,
    Prompt,
    SamplingParams,
    StreamedToken,
    Timings,
)

END = "<|end|>"
QWEN_MARKERS = (
    "<|fim_prefix|>",
    "<|fim_suffix|>",
    "<|fim_middle|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
    "<|endoftext|>",
)


@frozen
class ByteTokenizer:
    """A tokenizer with one token for each byte. Ids of special tokens follow from 256 on."""

    specials: tuple[str, ...] = (*QWEN_MARKERS, END)
    bos: int | None = None

    def encode(self, text: str) -> tuple[int, ...]:
        """Return the UTF-8 bytes of plain text."""
        return tuple(text.encode("utf-8", "replace"))

    def special(self, text: str) -> int | None:
        """Return the id of a special token, or None."""
        return 256 + self.specials.index(text) if text in self.specials else None

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids``, with special tokens spelled out."""
        parts = (self.specials[i - 256].encode() if i >= 256 else bytes([i]) for i in ids)
        return b"".join(parts).decode("utf-8", "replace")

    @property
    def pieces(self) -> tuple[bytes, ...]:
        """Bytes of every id; empty for special tokens."""
        return (*(bytes([i]) for i in range(256)), *(b"" for _ in self.specials))


_NO_LOGITS: Logits = np.empty(0, np.float32)
"""Kept in place of logits: the answers come from the script."""
_END_ID = 256 + ByteTokenizer().specials.index(END)

Answer = Callable[[str], str]
"""From the prompt, with markers spelled out, to the text to generate. END inside it ends the generation."""


@define
class Script:
    """The answers of a scripted engine. A test may change them while the engine is in use."""

    answer: Answer
    alternatives: Callable[[str], Sequence[str]] = lambda _: ()
    """From the prompt to further answers, the likeliest first."""
    before_token: Callable[[], None] = lambda: None
    """Called before each token is evaluated, prompt tokens too: a test can block, count or cancel here."""
    probability: float = 1.0
    """Of each token."""
    adapters: Mapping[Path, Answer] = field(factory=dict)
    """For each known adapter, from an answer without it to the answer with it."""

    def answers(self, prompt: str, adapters: Sequence[Path], *, several: bool) -> list[str]:
        """Return the answers to a prompt, with different first characters; one if not ``several``."""
        further = self.alternatives(prompt) if several else ()
        answers: dict[str, str] = {}
        for answer in (self.answer(prompt), *further):
            for adapter in adapters:
                answer = self.adapters[adapter](answer)
            answers.setdefault(answer[:1], answer)
        return list(answers.values())


def _as_script(script: Script | Answer) -> Script:
    return script if isinstance(script, Script) else Script(script)


@define
class _ByteStream:
    """One generation, sampled a byte at a time."""

    answer: bytes
    limit: int
    """Most bytes to sample."""
    stop_ids: frozenset[int]
    probability: float
    on_token: OnToken
    reason: FinishReason = FinishReason.CANCELLED
    text: str = ""
    count: int = 0
    """Tokens sampled, with the end token if there was one."""
    _decoder: codecs.IncrementalDecoder = field(
        factory=lambda: codecs.getincrementaldecoder("utf-8")("replace"), init=False
    )

    @property
    def token(self) -> int:
        """The last token."""
        return self.answer[self.count - 1]

    def sample(self) -> bool:
        """Emit the next token. Return whether the stream continues."""
        text, end, _ = self.answer.partition(END.encode())
        if self.count == len(text):
            # The end token counts as sampled, though it has no text.
            self.count += bool(end)
            self.reason = FinishReason.END
            return False
        self.count += 1
        if self.token in self.stop_ids:
            self.reason = FinishReason.END
            return False
        piece = self._decoder.decode(bytes([self.token]))
        self.text += piece
        if not self.on_token(StreamedToken(piece, self.probability, float(self.count))):
            self.reason = FinishReason.STOPPED
        elif self.count == self.limit:
            self.reason = FinishReason.LENGTH
        return self.reason is FinishReason.CANCELLED

    def generation(self, timings: Timings) -> Generation:
        """Return the generation, with the cost of all streams together."""
        own = evolve(timings, generated_tokens=self.count)
        return Generation(self.text, self.reason, own, (self.probability,) * self.count)


@frozen
class _ScriptedCache:
    """Saves a sequence's tokens in place of what llama.cpp would write."""

    mirror: Mirror

    def save(self, sequence: int) -> Payload | None:
        """See :meth:`fim_lsp.engine.kv_state_store.SaveableCache.save`."""
        tokens = self.mirror.states[sequence].tokens
        return repr(tokens).encode() if tokens else None

    def restore(self, sequence: int, payload: Payload, tokens: Sequence[int]) -> bool:
        """See :meth:`fim_lsp.engine.kv_state_store.SaveableCache.restore`."""
        complete = bytes(payload) == repr(list(tokens)).encode()
        self.mirror.states[sequence].tokens[:] = tokens if complete else ()
        return complete


@frozen
class ScriptedEngine:
    """Generates the answers of its script, one byte a token."""

    script: Script = field(converter=_as_script)
    """A function is converted to a script with that answer."""
    info: ModelInfo = field(factory=lambda: ModelInfo("scripted", context=4096, end_ids=frozenset({_END_ID})))
    tokenizer: ByteTokenizer = field(factory=ByteTokenizer)
    mirror: Mirror = field(factory=lambda: Mirror.of(4), repr=False)
    kv_states: KvStateSaver | None = field(default=None, repr=False)

    def saving_to(self, store: KvStateStore) -> ScriptedEngine:
        """Return the same engine with its KV states saved in a store."""
        return evolve(self, kv_states=KvStateSaver(store, _ScriptedCache(self.mirror)))

    def generate(
        self, prompt: Prompt, sampling: SamplingParams, cancel: CancelToken, on_tokens: Sequence[OnToken]
    ) -> tuple[Generation, ...]:
        """See :meth:`fim_lsp.engine.base.Engine.generate`."""
        slot = self._find_slot(prompt, background=False)
        assert slot is not None  # only background work can be left without one
        PromptTooColdError.check(prompt, len(slot.plan.pending))
        self._assign(slot, prompt, background=False)
        evaluated = self._evaluate(slot.plan.pending, cancel)
        timings = Timings(evaluated_tokens=evaluated, reused_tokens=slot.plan.keep)
        if evaluated < len(slot.plan.pending) or cancel.cancelled:
            return (Generation("", FinishReason.CANCELLED, timings),)
        limit = min(sampling.max_tokens, self.info.context - len(self.mirror.tokens))
        answers = self._answers(prompt, sampling.excluded_prefix, len(on_tokens))
        streams = [
            _ByteStream(answer, limit, prompt.stop_ids, self.script.probability, on_token)
            for answer, on_token in zip(answers, on_tokens, strict=False)
        ]
        decodes = self._decode(streams, cancel)
        timings = evolve(timings, decodes=decodes, decode_ms=float(decodes))
        return tuple(stream.generation(timings) for stream in streams)

    def logits(self, prompt: Prompt, rows: int = 1) -> Logits:
        """See :meth:`fim_lsp.engine.base.Engine.logits`; the next byte has the script's probability."""
        slot = self._find_slot(prompt, background=False)
        assert slot is not None  # only background work can be left without one
        slot = self.mirror.reevaluate(slot, rows)
        self._assign(slot, prompt, background=False)
        self._evaluate(slot.plan.pending, CancelToken())
        tokens = tuple(self.mirror.tokens)
        ends = range(len(tokens) - rows + 1, len(tokens) + 1)
        return np.stack([self._logits_behind(evolve(prompt, head=tokens[:end], tail="")) for end in ends])

    def prefill(self, prompt: Prompt, cancel: CancelToken) -> Timings:
        """See :meth:`fim_lsp.engine.base.Engine.prefill`."""
        slot = self._find_slot(prompt, background=True)
        if slot is None:
            return Timings()
        PromptTooColdError.check(prompt, len(slot.plan.pending))
        self._assign(slot, prompt, background=True)
        evaluated = self._evaluate(slot.plan.pending, cancel)
        return Timings(evaluated_tokens=evaluated, reused_tokens=slot.plan.keep)

    def save_one(self) -> Future[None] | None:
        """See :meth:`fim_lsp.engine.base.Engine.save_one`."""
        return self.kv_states.save_one() if self.kv_states is not None else None

    def close(self) -> None:
        """Save the KV states if there is a store, and forget all tokens."""
        if self.kv_states is not None:
            self.kv_states.close()
        self.mirror.clear()

    def _find_slot(self, prompt: Prompt, *, background: bool) -> Slot | None:
        for adapter in prompt.adapters:
            if adapter.path not in self.script.adapters:
                raise AdapterError(adapter, f"There is no adapter {adapter.path}.")
        pieces, encode = self.tokenizer.pieces, self.tokenizer.encode
        slot = self.mirror.find_slot(evolve(prompt, heal=False), pieces, encode, background=background)
        if slot is not None and slot.plan.prompt_tokens >= self.info.context:
            count = slot.plan.prompt_tokens
            raise PromptTooLongError(f"The prompt of {count} tokens fills the context window.")
        if slot is not None and self.kv_states is not None and self.kv_states.restore(prompt, slot, pieces):
            return self.mirror.find_slot(evolve(prompt, heal=False), pieces, encode, background=background)
        return slot

    def _assign(self, slot: Slot, prompt: Prompt, *, background: bool) -> None:
        if self.kv_states is not None:
            self.kv_states.save_evicted(slot, prompt)
        self.mirror.assign(slot, prompt, background=background)

    def _evaluate(self, tokens: Sequence[int], cancel: CancelToken) -> int:
        """Evaluate tokens until cancelled. Return how many were evaluated."""
        for count, token in enumerate(tokens):
            self.script.before_token()
            if cancel.cancelled:
                return count
            self.mirror.tokens.append(token)
        self.mirror.keep_logits([_NO_LOGITS])
        return len(tokens)

    def _answers(self, prompt: Prompt, excluded_prefix: str, count: int) -> list[bytes]:
        """Return the script's answers, without those that begin like ``excluded_prefix`` if any are left."""
        text = self.tokenizer.decode(prompt.head) + prompt.tail
        adapters = [adapter.path for adapter in prompt.adapters]
        answers = self.script.answers(text, adapters, several=count > 1 or bool(excluded_prefix))
        allowed = [answer for answer in answers if answer[:1] != excluded_prefix[:1] or not answer]
        return [answer.encode("utf-8", "replace") for answer in allowed or answers]

    def _decode(self, streams: Sequence[_ByteStream], cancel: CancelToken) -> int:
        """Sample a token of each stream in turn until all end. Return the number of decodes."""
        running, decodes = [stream for stream in streams if stream.sample()], 0
        while running:
            for stream in running:
                self.script.before_token()
                if cancel.cancelled:
                    return decodes
                if stream is streams[0]:
                    self.mirror.tokens.append(stream.token)
            decodes += 1
            running = [stream for stream in running if stream.sample()]
        return decodes

    def _logits_behind(self, prompt: Prompt) -> Logits:
        answer = self._answers(prompt, "", 1)[0]
        next_token = _END_ID if not answer or answer.startswith(END.encode()) else answer[0]
        count = len(self.tokenizer.pieces)
        others = max(1 - self.script.probability, 1e-9) / (count - 1)
        logits = np.full(count, np.log(others), np.float32)
        logits[next_token] = np.log(self.script.probability)
        return logits
