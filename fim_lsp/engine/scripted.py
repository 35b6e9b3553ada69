"""A deterministic engine without weights, shipped so that nobody has to patch anything in a test.

It keeps a mirror of "evaluated" tokens and slots prompts exactly as the real engine does, so counts of
evaluated and reused tokens mean the same. Tokens are bytes, with ids from 256 on for its special tokens.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

import numpy as np
from attrs import define, evolve, field, frozen

from fim_lsp.engine.base import AdapterError, CancelToken, OnToken, PromptTooLongError
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
    """One token a byte; special tokens follow from id 256."""

    specials: tuple[str, ...] = (*QWEN_MARKERS, END)
    bos: int | None = None

    def encode(self, text: str) -> tuple[int, ...]:
        """UTF-8 bytes of plain text."""
        return tuple(text.encode("utf-8", "replace"))

    def special(self, text: str) -> int | None:
        """The id of a special token, or None."""
        return 256 + self.specials.index(text) if text in self.specials else None

    def decode(self, ids: Sequence[int]) -> str:
        """Text with special tokens spelled out."""
        parts = (self.specials[i - 256].encode() if i >= 256 else bytes([i]) for i in ids)
        return b"".join(parts).decode("utf-8", "replace")

    @property
    def pieces(self) -> tuple[bytes, ...]:
        """Bytes of every id; special tokens spell nothing."""
        return (*(bytes([i]) for i in range(256)), *(b"" for _ in self.specials))


_END_IDS = frozenset({256 + ByteTokenizer().specials.index(END)})


@define
class _Line:
    """One answer, said a byte at a time."""

    said: bytes
    room: int
    stop_ids: frozenset[int]
    probability: float
    on_token: OnToken
    reason: FinishReason = FinishReason.CANCELLED
    text: str = ""
    count: int = 0
    _decoder: codecs.IncrementalDecoder = field(
        factory=lambda: codecs.getincrementaldecoder("utf-8")("replace"), init=False
    )

    @property
    def token(self) -> int:
        """The last one said."""
        return self.said[self.count - 1]

    def say(self) -> bool:
        """Say the next token; whether the line goes on."""
        spoken, ended, _ = self.said.partition(END.encode())
        if self.count == len(spoken):
            # The end token is sampled too, though it says nothing.
            self.count += bool(ended)
            self.reason = FinishReason.END
            return False
        self.count += 1
        if self.token in self.stop_ids:
            self.reason = FinishReason.END
            return False
        self.text += (piece := self._decoder.decode(bytes([self.token])))
        if not self.on_token(StreamedToken(piece, self.probability, float(self.count))):
            self.reason = FinishReason.STOPPED
        elif self.count == self.room:
            self.reason = FinishReason.LENGTH
        return self.reason is FinishReason.CANCELLED

    def generation(self, timings: Timings) -> Generation:
        """The answer, with what all lines cost."""
        own = evolve(timings, generated_tokens=self.count)
        return Generation(self.text, self.reason, own, (self.probability,) * self.count)


Script = Callable[[str], str]
"""From the prompt, markers spelled out, to what the model would say; END inside it ends the generation."""


@frozen
class ScriptedEngine:
    """Says what its script says, one byte a token."""

    script: Script
    info: ModelInfo = field(factory=lambda: ModelInfo("scripted", context=4096, end_ids=_END_IDS))
    tokenizer: ByteTokenizer = field(factory=ByteTokenizer)
    alternatives: Callable[[str], Sequence[str]] = field(default=lambda _: (), repr=False)
    """From the prompt to what else the model might say, likeliest first."""
    before_token: Callable[[], None] = field(default=lambda: None, repr=False)
    """Called before each token is evaluated, prompt tokens too: a test blocks, counts or cancels here."""
    probability: float = 1.0
    adapters: Mapping[Path, Script] = field(factory=dict, repr=False)
    """The adapters that it knows: from what it would say to what it says with one of them on."""
    mirror: Mirror = field(factory=lambda: Mirror.of(4), repr=False)
    saver: KvStateSaver | None = field(default=None, repr=False)

    def generate(
        self, prompt: Prompt, sampling: SamplingParams, cancel: CancelToken, on_tokens: Sequence[OnToken]
    ) -> tuple[Generation, ...]:
        """See :meth:`fim_lsp.engine.base.Engine.generate`."""
        slot = self._find_slot(prompt, background=False)
        assert slot is not None  # only background work may go without
        self._take(slot, prompt, background=False)
        evaluated = self._evaluate(slot.plan.pending, cancel)
        timings = Timings(evaluated_tokens=evaluated, reused_tokens=slot.plan.keep)
        if evaluated < len(slot.plan.pending):
            return (Generation("", FinishReason.CANCELLED, timings),)
        room = min(sampling.max_tokens, self.info.context - len(self.mirror.tokens))
        says = self._says(prompt, sampling.excluded_prefix, len(on_tokens))
        lines = [
            _Line(said, room, prompt.stop_ids, self.probability, on_token)
            for said, on_token in zip(says, on_tokens, strict=False)
        ]
        decodes = self._speak(lines, cancel)
        timings = evolve(timings, decodes=decodes, decode_ms=float(decodes))
        return tuple(line.generation(timings) for line in lines)

    def logits(self, prompt: Prompt, rows: int = 1) -> Logits:
        """See :meth:`fim_lsp.engine.base.Engine.logits`; the script's next byte has its probability."""
        slot = self._find_slot(prompt, background=False)
        assert slot is not None  # only background work may go without
        self._take(slot := self.mirror.reevaluate(slot, rows), prompt, background=False)
        self._evaluate(slot.plan.pending, CancelToken())
        tokens = tuple(self.mirror.tokens)
        ends = range(len(tokens) - rows + 1, len(tokens) + 1)
        return np.stack([self._logits_behind(evolve(prompt, head=tokens[:end], tail="")) for end in ends])

    def _logits_behind(self, prompt: Prompt) -> Logits:
        text = self._says(prompt, "", 1)[0]
        end = self.tokenizer.special(END)
        next_token = end if end is not None and (not text or text.startswith(END.encode())) else text[0]
        size = len(self.tokenizer.pieces)
        rest = max(1 - self.probability, 1e-9) / (size - 1)
        logits = np.full(size, np.log(rest), np.float32)
        logits[next_token] = np.log(self.probability)
        return logits

    def prefill(self, prompt: Prompt, cancel: CancelToken) -> Timings:
        """See :meth:`fim_lsp.engine.base.Engine.prefill`."""
        slot = self._find_slot(prompt, background=True)
        if slot is None:
            return Timings()
        self._take(slot, prompt, background=True)
        evaluated = self._evaluate(slot.plan.pending, cancel)
        return Timings(evaluated_tokens=evaluated, reused_tokens=slot.plan.keep)

    def _find_slot(self, prompt: Prompt, *, background: bool) -> Slot | None:
        for adapter in prompt.adapters:
            if adapter.path not in self.adapters:
                raise AdapterError(adapter, f"There is no adapter {adapter.path}.")
        pieces, encode = self.tokenizer.pieces, self.tokenizer.encode
        slot = self.mirror.find_slot(evolve(prompt, heal=False), pieces, encode, background=background)
        if slot is not None and slot.plan.prompt_tokens >= self.info.context:
            count = slot.plan.prompt_tokens
            raise PromptTooLongError(f"The prompt of {count} tokens fills the context window.")
        if slot is not None and self.saver is not None and self.saver.fetch(prompt, slot, pieces):
            return self.mirror.find_slot(evolve(prompt, heal=False), pieces, encode, background=background)
        return slot

    def _take(self, slot: Slot, prompt: Prompt, *, background: bool) -> None:
        if self.saver is not None:
            self.saver.leave(slot, prompt)
        self.mirror.take(slot, prompt, background=background)

    def _evaluate(self, tokens: Sequence[int], cancel: CancelToken) -> int:
        for count, token in enumerate(tokens):
            self.before_token()
            if cancel.cancelled:
                return count
            self.mirror.tokens.append(token)
        return len(tokens)

    def _says(self, prompt: Prompt, excluded_prefix: str, count: int) -> list[bytes]:
        """What it says to a prompt, and up to ``count`` answers in all that begin differently."""
        asked = self.tokenizer.decode(prompt.head) + prompt.tail
        further = self.alternatives(asked) if count > 1 or excluded_prefix else ()
        answers: dict[str, str] = {}
        for said in (self.script(asked), *further):
            for adapter in prompt.adapters:
                said = self.adapters[adapter.path](said)
            answers.setdefault(said[:1], said)
        wanted = [said for said in answers.values() if said[:1] != excluded_prefix[:1] or not said]
        return [said.encode("utf-8", "replace") for said in wanted or answers.values()]

    def _speak(self, lines: Sequence[_Line], cancel: CancelToken) -> int:
        """Say a token of each line in turn; how many times a token of each was evaluated."""
        running, decodes = [line for line in lines if line.say()], 0
        while running:
            for line in running:
                self.before_token()
                if cancel.cancelled:
                    return decodes
                if line is lines[0]:
                    self.mirror.tokens.append(line.token)
            decodes += 1
            running = [line for line in running if line.say()]
        return decodes

    def saves_in(self, lot: KvStateStore) -> ScriptedEngine:
        """The same engine with its states saved in a lot: tokens stand for what llama.cpp would save."""
        states = self.mirror.states

        def copy(sequence: int) -> bytes:
            return repr(states[sequence].tokens).encode()

        def restore(_: int, payload: Payload, tokens: int) -> bool:
            return bytes(payload).count(b",") + 1 == tokens

        return evolve(self, saver=KvStateSaver(lot, self.mirror, copy, restore))

    def save_one(self) -> Future[None] | None:
        """See :meth:`fim_lsp.engine.base.Engine.save_one`."""
        return self.saver.save_one() if self.saver is not None else None

    def close(self) -> None:
        """Park what was evaluated, where there is a lot, and forget it."""
        if self.saver is not None:
            self.saver.close()
        self.mirror.clear()
