"""An engine whose model is on another server. All of it runs on the inference thread."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from typing import Any, NoReturn, Protocol, TypeVar

from attrs import evolve
from cachetools import LRUCache

from fim_lsp.engine.base import AdapterError, CancelToken, EngineError, OnToken, PromptTooLongError
from fim_lsp.engine.remote.address import parse_address
from fim_lsp.engine.remote.answer_stream import AnswerStream, HealingFailedError
from fim_lsp.engine.remote.asking import Asker
from fim_lsp.engine.remote.circuit import Circuit
from fim_lsp.engine.remote.client import Client
from fim_lsp.engine.remote.detection import ServerFacts, detect, markers_by_name
from fim_lsp.engine.remote.dialects import CompletionCall, stop_texts
from fim_lsp.engine.remote.encoding import EncodedPrompt, Marker, PromptEncoder
from fim_lsp.engine.remote.errors import RemoteError
from fim_lsp.engine.remote.text_tokenizer import TextTokenizer
from fim_lsp.engine.sampling import Logits
from fim_lsp.engine.vocabulary import Vocabulary
from fim_lsp.prompt.templates import NO_TEMPLATE, find_template
from fim_lsp.prompt.texts import around_cursor
from fim_lsp.settings import ModelSettings
from fim_lsp.types import (
    AppliedAdapter,
    FinishReason,
    Generation,
    ModelInfo,
    Prompt,
    SamplingParams,
    Timings,
    Tokenizer,
)

T = TypeVar("T")
logger = logging.getLogger(__name__)

_LOOK_S = 0.005
"""Seconds between two looks at the cancel flag, which nothing announces."""
_DETECTION_S = 10.0
_SEGMENTS = 256
"""Texts whose token ids are remembered, for servers that tokenise for us: most of a prompt stays as it is."""
_ANOTHER_TEMPERATURE = 0.8
"""A server can't leave out the likeliest token, so that another answer has to be drawn."""
_NO_FIM = (
    "No markers for fill-in-the-middle are known for {model}: suggestions come from the text before the "
    "cursor alone. Set model.template if it has some."
)


class ReadableVocabulary(Protocol):
    """A model's vocabulary, for the exact token ids."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer."""

    @property
    def pieces(self) -> Sequence[bytes]:
        """Bytes of each token; empty for markers."""

    @property
    def info(self) -> ModelInfo:
        """Facts about the model."""


def open_remote(settings: ModelSettings, vocabulary: ReadableVocabulary | None = None) -> RemoteEngine:
    """Make an engine for the server that the settings name. Nothing is sent before ``connect``.

    Raises:
        ModelLoadError: the address can't be used.
    """
    remote = settings.remote
    token = os.environ.get(remote.token_variable, "") or remote.token
    return RemoteEngine(settings, Client(parse_address(remote.url), token, remote.ca_file), vocabulary)


class RemoteEngine:
    """A model on another server.

    Args:
        settings: The server, and how long to wait for it.
        client: Reaches the server.
        vocabulary: The model's vocabulary, if it is here.
    """

    def __init__(
        self, settings: ModelSettings, client: Client, vocabulary: ReadableVocabulary | None = None
    ) -> None:
        self._settings = settings
        self._client = client
        self._vocabulary = vocabulary
        self._searchable = None if vocabulary is None else Vocabulary(vocabulary.pieces)
        self._loop = asyncio.new_event_loop()
        self._circuit = Circuit()
        self._facts: ServerFacts | None = None
        self._segments: LRUCache[str, tuple[int, ...]] = LRUCache(_SEGMENTS)
        self._warned = False
        self._text_tokenizer = TextTokenizer()
        self.info = ModelInfo(client.address.host, host=client.address.description)
        self.partial = Generation("", FinishReason.CANCELLED)
        """The beginning of the last answer that broke off."""
        self.patience_ms = settings.remote.timeout_ms
        """Milliseconds without new text after which a request fails."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer where its vocabulary is here, or else one that estimates."""
        return self._text_tokenizer if self._vocabulary is None else self._vocabulary.tokenizer

    @property
    def connected(self) -> bool:
        """True once it is known what the server is."""
        return self._facts is not None

    @property
    def available(self) -> bool:
        """True if a request may be sent now: the server answered last time, or was left alone for a while."""
        return self._circuit.allows(time.monotonic())

    def connect(self) -> None:
        """Ask what the server is, unless that is known.

        Raises:
            RemoteError: it did not answer, or has no such model; also while it is left alone after that.
        """
        if self._facts is not None:
            return
        self._check_circuit()
        try:
            self._facts = self._run(asyncio.wait_for(self._detect(), _DETECTION_S))
        except (asyncio.TimeoutError, TimeoutError):
            self._fail(RemoteError(f"{self._client.address.host} does not answer."))
        except RemoteError as error:
            self._fail(error)
        self._circuit = Circuit()
        self._describe(self._facts)

    def generate(
        self, prompt: Prompt, sampling: SamplingParams, cancel: CancelToken, on_tokens: Sequence[OnToken]
    ) -> tuple[Generation, ...]:
        """See :meth:`fim_lsp.engine.base.Engine.generate`; it returns one generation.

        Raises:
            RemoteError: the server failed; also, at once, while it is left alone after a failure. An answer
                that had begun is in :attr:`partial`.
        """
        self.partial = Generation("", FinishReason.CANCELLED)
        if cancel.cancelled:
            return (self.partial,)
        self.connect()
        self._check_circuit()
        adapters = self._named(prompt.adapters)
        try:
            generation = self._run(self._complete(prompt, sampling, adapters, cancel, on_tokens[0]))
        except RemoteError as error:
            self._fail(error)
        self._circuit = Circuit()
        return (evolve(generation, model=self.info.name, host=self.info.host),)

    def logits(self, prompt: Prompt, rows: int = 1) -> Logits:
        """Refuse: no server hands out its logits."""
        raise EngineError("A model on another server gives no logits.", "Measure with a local model.")

    def prefill(self, prompt: Prompt, cancel: CancelToken) -> Timings:
        """Do nothing: code is sent only for a suggestion, and a server keeps what it evaluated by itself."""
        return Timings()

    def save_one(self) -> Future[None] | None:
        """Save nothing: the KV cache is the server's."""
        return None

    def close(self) -> None:
        """Close the connections."""
        self._run(self._client.close())
        self._loop.close()

    # --- What the server is

    async def _detect(self) -> ServerFacts:
        return await detect(self._client, self._settings.remote, self._settings.context_tokens)

    def _describe(self, facts: ServerFacts) -> None:
        """Take up what was found: name, context and markers of the model."""
        context = facts.context or self._settings.context_tokens
        host, base = self._client.address.description, self._vocabulary
        if base is not None:
            self.info = evolve(base.info, name=facts.model, context=context, host=host)
        else:
            chosen = self._settings.template
            markers = facts.markers or markers_by_name(facts.model)
            if chosen is not None:
                markers = () if chosen == NO_TEMPLATE else find_template(chosen).markers
            markers = tuple(dict.fromkeys(marker.strip() for marker in markers))
            self._text_tokenizer = TextTokenizer(markers)
            notice = None if markers or chosen else _NO_FIM.format(model=facts.model)
            self.info = ModelInfo(facts.model, context=context, host=host, notice=notice)
        logger.info("Prompts are sent to %s, a %s server", host, facts.dialect.kind)

    def _named(self, adapters: Sequence[AppliedAdapter]) -> tuple[tuple[str, float], ...]:
        """Return names and scales of the adapters that are on the server.

        Raises:
            AdapterError: the server has no such adapter, or can't apply it like this.
        """
        assert self._facts is not None
        named = [adapter for adapter in adapters if adapter.name]
        kind, host = self._facts.dialect.kind, self._client.address.host
        for position, adapter in enumerate(named):
            if self._facts.adapters is not None and adapter.name not in self._facts.adapters:
                # It may have been loaded since.
                self._facts = self._run(self._detect())
            known = self._facts.adapters
            if known is not None and adapter.name not in known:
                raise AdapterError(
                    adapter,
                    f"{host} has no adapter {adapter.name!r}.",
                    f"It has: {', '.join(known) or 'none'}.",
                )
            if kind != "llama-server" and (position or adapter.scale != 1):
                raise AdapterError(
                    adapter, f"{host} ({kind}) applies one adapter at a time, at a scale of 1.", ""
                )
        return tuple((adapter.name, adapter.scale) for adapter in named)

    # --- One request

    async def _complete(
        self,
        prompt: Prompt,
        sampling: SamplingParams,
        adapters: tuple[tuple[str, float], ...],
        cancel: CancelToken,
        on_token: OnToken,
    ) -> Generation:
        """Ask the server, and again without healing where the answer does not continue the cut word."""
        if sampling.excluded_prefix and sampling.temperature <= 0:
            sampling = evolve(sampling, temperature=_ANOTHER_TEMPERATURE)
        for heal in (True, False):
            stream = self._stream(prompt, sampling, on_token)
            task = asyncio.ensure_future(self._ask(prompt, sampling, adapters, stream, cancel, heal=heal))
            try:
                await self._watch(task, stream, cancel)
                return stream.generation()
            except HealingFailedError:
                continue
            except RemoteError:
                self.partial = stream.generation()
                raise
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task
        return Generation("", FinishReason.END)

    async def _watch(self, task: asyncio.Future[None], stream: AnswerStream, cancel: CancelToken) -> None:
        """Wait for an answer, until it is cancelled or no text comes for too long."""
        while not task.done():
            await asyncio.wait({task}, timeout=_LOOK_S)
            if cancel.cancelled:
                return
            if not task.done() and (time.perf_counter() - stream.progress_at) * 1000 > self.patience_ms:
                raise RemoteError(
                    f"{self._client.address.host} sent nothing for {self.patience_ms / 1000:g} s.",
                    "See how busy the server is, or raise model.remote.timeoutMs.",
                )
        await task

    async def _ask(
        self,
        prompt: Prompt,
        sampling: SamplingParams,
        adapters: tuple[tuple[str, float], ...],
        stream: AnswerStream,
        cancel: CancelToken,
        *,
        heal: bool,
    ) -> None:
        assert self._facts is not None
        dialect = self._facts.dialect
        encoded = self._encoder().encode(prompt, heal=heal and dialect.kind != "codestral")
        if dialect.kind == "llama-server" and encoded.ids is None:
            encoded = evolve(encoded, ids=await self._tokenised(encoded))
        elif dialect.kind != "codestral" and not (dialect.takes_ids and encoded.ids is not None):
            self._warn_of_markers(encoded)
        if encoded.ids is not None and len(encoded.ids) >= self.info.context:
            raise PromptTooLongError(
                f"The prompt of {len(encoded.ids)} tokens fills the context window of {self.info.context}.",
                "Lower prompt.maxTokens.",
            )
        prefix, suffix = around_cursor(prompt)
        stream.healing = encoded.healed
        request = CompletionCall(
            self._facts.model,
            encoded,
            sampling,
            prefix,
            suffix,
            stop_texts(stream.markers),
            tuple(sorted(prompt.stop_ids)) if self._vocabulary is not None else (),
            adapters,
        )
        await Asker(self._client, dialect, self._searchable).answer(request, stream, cancel)

    def _stream(self, prompt: Prompt, sampling: SamplingParams, on_token: OnToken) -> AnswerStream:
        """Make the stream of an answer. Where each token is named, text that spells a marker ends nothing."""
        assert self._facts is not None
        markers = tuple(self.tokenizer.decode((token,)) for token in sorted(prompt.stop_ids))
        ends = frozenset[int]()
        if self._vocabulary is not None:
            ends = prompt.stop_ids | self._vocabulary.info.end_ids
            markers = () if self._facts.dialect.bans_tokens else markers
        return AnswerStream(on_token, sampling.max_tokens, tuple(filter(None, markers)), ends)

    def _encoder(self) -> PromptEncoder:
        if self._vocabulary is None:
            return PromptEncoder(self._text_tokenizer, self._text_tokenizer.is_marker)
        pieces = self._vocabulary.pieces
        return PromptEncoder(self._vocabulary.tokenizer, lambda token: not pieces[token], pieces)

    async def _tokenised(self, encoded: EncodedPrompt) -> tuple[int, ...]:
        """Let llama-server tokenise each part of a prompt: markers as markers, and user text as text."""
        assert self._facts is not None
        ids = list(self._facts.bos)
        for segment in encoded.segments:
            text, special = (segment.text, True) if isinstance(segment, Marker) else (segment, False)
            key = f"{special:d}{text}"
            if key not in self._segments:
                answer = await self._client.post("/tokenize", {"content": text, "parse_special": special})
                tokens = answer.get("tokens") if isinstance(answer, dict) else None
                if not isinstance(tokens, list) or not all(isinstance(token, int) for token in tokens):
                    raise RemoteError(f"{self._client.address.host} did not tokenise the prompt.")
                self._segments[key] = tuple(tokens)
            ids += self._segments[key]
        return tuple(ids)

    def _warn_of_markers(self, encoded: EncodedPrompt) -> None:
        if not self._warned and encoded.spells_markers:
            self._warned = True
            logger.warning(
                "The code spells markers of a model. They are sent to %s with a blank in them.",
                self._client.address.host,
            )

    # --- Failures

    def _check_circuit(self) -> None:
        if not self.available and self._circuit.error is not None:
            raise self._circuit.error

    def _fail(self, error: RemoteError) -> NoReturn:
        """Leave the server alone for a while. Say so once, until it answers again.

        Raises:
            RemoteError: always.
        """
        self._circuit = self._circuit.failed(error, time.monotonic())
        raise error

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(coroutine)
