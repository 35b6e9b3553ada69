"""The whole pipeline from a cursor to a completion, readable from top to bottom.

cache -> running generation -> debounce -> prompt -> engine (stop rules listen) -> cache -> filters.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from fnmatch import fnmatchcase

from attrs import evolve
from cachetools import LRUCache

from fim_lsp.completion.cache import Suggestion, SuggestionCache
from fim_lsp.completion.debounce import LatestWins, Rhythm, SupersededError, Turn
from fim_lsp.completion.explain import Explanation, Source
from fim_lsp.completion.flight import Flight
from fim_lsp.completion.postprocess import postprocess
from fim_lsp.completion.stopping import stop_rules
from fim_lsp.completion.syntax import wants_multiline
from fim_lsp.engine.base import Engine
from fim_lsp.engine.worker import InferenceWorker
from fim_lsp.prompt.anchor import Anchor, next_anchor
from fim_lsp.prompt.builder import build
from fim_lsp.prompt.templates import ChosenTemplate, choose_template
from fim_lsp.settings import SamplingSettings, Settings
from fim_lsp.types import (
    Completion,
    CompletionRequest,
    Generation,
    Prompt,
    SamplingParams,
    Timings,
    Trigger,
)

_GRACE_S = 0.3
"""How long a generation goes on without anybody waiting after its document changed: VS Code cancels a
request before it sends the one that may join."""
_ANCHORS = 64


class Completer:
    """Answers completion requests from one worker. Lives on one asyncio loop."""

    def __init__(self, worker: InferenceWorker, clock: Callable[[], float] = time.perf_counter) -> None:
        self._worker = worker
        self._clock = clock
        self._turns = LatestWins()
        self._rhythm = Rhythm()
        self._cache = SuggestionCache(0)
        self._flights: dict[str, Flight] = {}
        self._anchors: LRUCache[str, Anchor] = LRUCache(_ANCHORS)
        self._versions: dict[str, int] = {}
        self._template: ChosenTemplate | None = None
        self.last = Explanation()
        """How the last answer came about."""

    @property
    def ready(self) -> bool:
        """Whether a model is loaded and its template known."""
        return self._worker.engine is not None and self._template is not None

    def model_changed(self, engine: Engine, settings: Settings) -> ChosenTemplate:
        """Take up a newly loaded model: choose its template and forget what the former one said.

        Raises:
            TemplateError: the settings name a template that this model's vocabulary can't express.
        """
        self._template = None
        self._template = choose_template(engine.info, engine.tokenizer, settings.model.template)
        self.settings_changed(settings)
        self._anchors.clear()
        return self._template

    def settings_changed(self, settings: Settings) -> None:
        """Forget suggestions that other settings might not have made."""
        self._cache = SuggestionCache(settings.completion.cache_size)

    def edited(self, uri: str, version: int) -> None:
        """Note that a document moved on; a generation nobody waits for may then still be joined."""
        self._versions[uri] = version
        self._rhythm = self._rhythm.keystroke(self._clock() * 1000)

    def closed(self, uri: str) -> None:
        """Forget a document and abort what runs for it."""
        self._versions.pop(uri, None)
        self._anchors.pop(uri, None)
        if (flight := self._flights.pop(uri, None)) is not None:
            flight.abort()

    async def complete(self, request: CompletionRequest, settings: Settings) -> Completion | None:
        """Offer a completion at the cursor, or None where there is nothing to offer.

        Raises:
            SupersededError: a newer request for the same document came meanwhile.
            FimLspError: the engine failed.
        """
        if not self.ready or not _wanted(request, settings):
            return None
        uri = request.document.uri
        turn = self._turns.take(uri)
        try:
            if (known := self._cache.find(request)) is not None:
                suggestion, text = known
                self.last = evolve(self.last, source="cache", delay_ms=0.0, timings=Timings())
                return self._offer(request, settings, suggestion, text)
            flight = self._join(request)
            landed = await self._wait(flight, turn, request) if flight else None
            source: Source = "joined"
            if flight is None or landed is None or not flight.remaining(landed, request):
                flight, source = await self._take_off(request, settings, turn), "generated"
                landed = await self._wait(flight, turn, request)
            if landed is None:
                return None
            self._note(flight, source, landed)
            return self._offer(request, settings, landed, flight.remaining(landed, request) or "")
        finally:
            self._turns.release(uri, turn)

    def _join(self, request: CompletionRequest) -> Flight | None:
        """The document's running generation, if the user typed what it is producing; else it is aborted."""
        former = self._flights.get(request.document.uri)
        if former is not None and former.joins(request):
            return former
        if former is not None:
            former.abort()
        return None

    async def _take_off(self, request: CompletionRequest, settings: Settings, turn: Turn) -> Flight:
        """Start a generation of one's own, after the debounce."""
        bounds = settings.completion
        automatic = request.trigger is Trigger.AUTOMATIC
        delay_ms = self._rhythm.delay_ms(bounds.debounce_min_ms, bounds.debounce_max_ms) if automatic else 0.0
        await turn.sleep(delay_ms)
        multiline = wants_multiline(request, settings.completion)
        prompt = self._prompt(request, settings)
        flight = Flight(request, prompt, stop_rules(request, settings.completion, multiline=multiline))
        flight.start(self._worker, _sampling(request, settings.sampling), self._landed)
        self._flights[request.document.uri] = flight
        self.last = evolve(self.last, multiline=multiline, delay_ms=delay_ms)
        return flight

    def _prompt(self, request: CompletionRequest, settings: Settings) -> Prompt:
        engine, chosen = self._worker.engine, self._template
        if engine is None or chosen is None:  # a reload began while this request waited for its debounce
            raise SupersededError
        uri = request.document.uri
        anchor = next_anchor(self._anchors.get(uri), request, chosen.template, settings.prompt)
        self._anchors[uri] = anchor
        context = engine.info.context
        room = max(context // 2, context - _sampling(request, settings.sampling).max_tokens - 1)
        return build(
            request,
            chosen.template,
            engine.tokenizer,
            settings.prompt,
            anchor=anchor,
            max_tokens=min(settings.prompt.max_tokens, room),
        )

    async def _wait(self, flight: Flight, turn: Turn, request: CompletionRequest) -> Suggestion | None:
        """Wait for a flight; the last one to leave it turns off the light."""
        flight.waiting += 1
        grace_s = _GRACE_S
        try:
            # Shielded: a cancelled request must not take the generation with it that others may join.
            return await turn.result(asyncio.shield(flight.outcome))
        except asyncio.CancelledError:
            version = request.document.version
            if self._versions.get(request.document.uri, version) == version:
                grace_s = 0.0
            raise
        finally:
            flight.waiting -= 1
            if not flight.waiting and flight.running:
                self._abandon(flight, grace_s)

    def _abandon(self, flight: Flight, grace_s: float) -> None:
        """Abort a flight that nobody joins within the grace."""
        if not grace_s:
            flight.abort()
            return

        def abort_if_unwanted() -> None:
            if not flight.waiting:
                flight.abort()

        asyncio.get_running_loop().call_later(grace_s, abort_if_unwanted)

    def _landed(self, flight: Flight, generation: Generation) -> None:
        """Remember what a generation cost, whether or not somebody still waits."""
        self._rhythm = self._rhythm.started(generation.timings.prefill_ms)

    def _note(self, flight: Flight, source: Source, landed: Suggestion) -> None:
        self._cache.put(flight.where, landed)
        self.last = evolve(
            self.last,
            source=source,
            template=flight.prompt.template,
            timings=landed.timings,
            parts=flight.prompt.parts,
        )

    def _offer(
        self, request: CompletionRequest, settings: Settings, suggestion: Suggestion, text: str
    ) -> Completion | None:
        """Filter what was said, and decide whether it is worth showing."""
        filtered = postprocess(text, request)
        because = ""
        if not filtered.text:
            because = filtered.steps[-1].name if filtered.steps else "the model had nothing to say"
        elif suggestion.confidence < settings.completion.min_confidence:
            because = "confidence below completion.minConfidence"
        self.last = evolve(
            self.last,
            uri=request.document.uri,
            line=request.document.text.count("\n", 0, request.offset),
            said=text,
            ended_by=suggestion.ended_by,
            steps=filtered.steps,
            offered=None if because else request.selected_text + filtered.text,
            dropped_because=because,
            confidence=suggestion.confidence,
        )
        if because:
            return None
        return Completion(
            request.selected_text + filtered.text, filtered.replace_suffix_chars, suggestion.confidence
        )


def _wanted(request: CompletionRequest, settings: Settings) -> bool:
    completion = settings.completion
    if request.document.language_id in completion.disabled_languages:
        return False
    name = request.document.path.name
    if any(fnmatchcase(name, pattern) for pattern in completion.disabled_files):
        return False
    return completion.enabled and (completion.automatic or request.trigger is Trigger.INVOKED)


def _sampling(request: CompletionRequest, settings: SamplingSettings) -> SamplingParams:
    invoked = request.trigger is Trigger.INVOKED
    return SamplingParams(
        max_tokens=settings.invoked_max_tokens if invoked else settings.max_tokens,
        temperature=settings.temperature,
        top_k=settings.top_k,
        top_p=settings.top_p,
        seed=settings.seed,
    )
