"""The whole pipeline from a cursor to a completion, readable from top to bottom.

cache -> running generation -> debounce -> prompt -> engine (stop rules listen) -> cache -> filters.

While nobody waits, the prompts that come next are evaluated (``background``), and what follows an accepted
suggestion is generated as if it had been asked for.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from attrs import evolve

from fim_lsp.code.syntax import wants_multiline
from fim_lsp.completion.acceptance import ShownSuggestion, ShownSuggestions
from fim_lsp.completion.cache import Suggestion, SuggestionCache
from fim_lsp.completion.debounce import LatestWins, Rhythm, SupersededError, Turn, lost_ms
from fim_lsp.completion.document_adapters import adapters_for, as_on_disk
from fim_lsp.completion.enabled import is_enabled
from fim_lsp.completion.explain import Explanation, Source
from fim_lsp.completion.generation import InFlightGeneration, OnRefused
from fim_lsp.completion.idle_prefill import PAUSE_S, IdlePrefill
from fim_lsp.completion.open_documents import Folders, OpenDocuments
from fim_lsp.completion.prefill_planner import PrefillPlanner
from fim_lsp.completion.prompts import Prompts, candidates_for
from fim_lsp.completion.ranking import judge, worth_showing
from fim_lsp.completion.stopping import stop_rules
from fim_lsp.engine.base import AdapterError, Engine
from fim_lsp.engine.worker import InferenceWorker
from fim_lsp.prompt.templates import ChosenTemplate, choose_template
from fim_lsp.settings import AdapterSettings, Settings
from fim_lsp.types import (
    AppliedAdapter,
    Completion,
    CompletionRequest,
    DocumentSnapshot,
    FinishReason,
    Generation,
    Timings,
    Trigger,
)

logger = logging.getLogger(__name__)

_GRACE_S = 0.3
"""How long a generation goes on without anybody waiting after its document changed: VS Code cancels a
request before it sends the one that may join."""


def _log(error: AdapterError) -> None:
    logger.warning("%s", error)


class Completer:
    """Answers completion requests from one worker. Lives on one asyncio loop.

    ``on_refused`` is told once of each adapter that can't be applied; completion goes on without it.
    ``folders`` says where the workspace is; files outside of it are shown to no other file's prompt.
    """

    def __init__(
        self,
        worker: InferenceWorker,
        clock: Callable[[], float] = time.perf_counter,
        on_refused: OnRefused = _log,
        pause_s: float = PAUSE_S,
        folders: Folders = tuple,
    ) -> None:
        self._worker = worker
        self._clock = clock
        self._on_refused = on_refused
        self._adapters: tuple[AdapterSettings, ...] = ()
        self._refused: set[tuple[Path, int]] = set()
        self._turns = LatestWins()
        self._rhythm = Rhythm()
        self._cache = SuggestionCache(0)
        self._flights: dict[str, InFlightGeneration] = {}
        self._versions: dict[str, int] = {}
        self._offers = ShownSuggestions()
        self._prompts: Prompts | None = None
        self._neighbours = OpenDocuments(folders)
        self._background = IdlePrefill(worker, pause_s)
        self._ahead = PrefillPlanner(self._background, self._applicable)
        self.last = Explanation()
        """How the last answer came about."""

    @property
    def ready(self) -> bool:
        """Whether a model is loaded and its template known."""
        return self._worker.engine is not None and self._prompts is not None

    def model_changed(self, engine: Engine, settings: Settings) -> ChosenTemplate:
        """Take up a newly loaded model: choose its template and forget what the former one said.

        Raises:
            TemplateError: the settings name a template that this model's vocabulary can't express.
        """
        former, self._prompts = self._prompts, None
        chosen = choose_template(engine.info, engine.tokenizer, settings.model.template)
        prompts = Prompts(engine, chosen, self._neighbours)
        self._prompts = evolve(prompts, bases=former.bases) if former is not None else prompts
        self._refused.clear()
        self.settings_changed(settings)
        self._ahead.warm_up(self._prompts, settings)
        return chosen

    def model_returned(self, engine: Engine, settings: Settings) -> bool:
        """Go on where the same model was when it was unloaded; False if this is another one."""
        if self._prompts is None or not self._prompts.engine.info.same_model(engine.info):
            return False
        self._prompts = evolve(self._prompts, engine=engine)
        self._ahead.warm_up(self._prompts, settings)
        return True

    def settings_changed(self, settings: Settings) -> None:
        """Forget suggestions that other settings might not have made."""
        self._cache = SuggestionCache(settings.completion.cache_size)
        if settings.adapters != self._adapters:
            self._adapters = settings.adapters
            self._refused.clear()
            self.last = evolve(self.last, adapters=())

    def opened(self, document: DocumentSnapshot, settings: Settings) -> None:
        """Evaluate what is known of the first prompt in a document, once there is a model."""
        self._neighbours.opened(document)
        self._ahead.opened(document)
        self._ahead.warm_up(self._prompts, settings)

    def edited(self, uri: str, version: int, text: str | None = None) -> None:
        """Note that a document moved on; a generation nobody waits for may then still be joined.

        Where ``text`` is what the last suggestion makes of the document, the next one is begun.
        """
        self._versions[uri] = version
        if text is not None:
            self._neighbours.edited(uri, version, text)
        self._rhythm = self._rhythm.keystroke(self._clock() * 1000)
        if (offer := self._offers.accepted_by_edit(uri, text)) is not None:
            self._prefetch(offer)
        elif (flight := self._flights.get(uri)) is not None and flight.running and not flight.waiting:
            self._abandon(flight, _GRACE_S)

    def accepted(self, uri: str | None, candidate: int = 0) -> None:
        """The document's last suggestion, or the last of all, was accepted: begin with what follows it."""
        version = self._versions.get(uri) if uri is not None else None
        if (offer := self._offers.accepted_by_command(uri, version, candidate)) is not None:
            self._prefetch(offer)

    def closed(self, uri: str) -> None:
        """Forget a document's prompts and offers and abort what runs for it."""
        self._versions.pop(uri, None)
        self._offers.drop(uri)
        self._neighbours.closed(uri)
        self._ahead.closed(uri)
        if self._prompts is not None:
            self._prompts.forget(uri)
        if (flight := self._flights.pop(uri, None)) is not None:
            flight.abort()

    def keep_out(self, uris: Iterable[str]) -> None:
        """Show these documents to no other one's prompt."""
        self._neighbours.keep_out(uris)

    def stop(self) -> None:
        """End the work in the background."""
        self._background.stop()

    async def complete(self, request: CompletionRequest, settings: Settings) -> Completion | None:
        """ShownSuggestion a completion at the cursor, or None where there is nothing to offer.

        Raises:
            SupersededError: a newer request for the same document came meanwhile.
            FimLspError: the engine failed.
        """
        if not self.ready or not is_enabled(request, settings):
            return None
        uri = request.document.uri
        self._neighbours.used(uri)
        turn = self._turns.take(uri)
        self._background.stop()
        adapters = self._applicable(request, settings)
        try:
            if (known := self._cache.find(request, adapters)) is not None:
                self.last = evolve(self.last, source="cache", delay_ms=0.0, timings=Timings())
                return self._offer(request, settings, known)
            flight = self._join(request, adapters)
            landed = await self._wait(flight, turn, request) if flight else None
            source: Source = "joined"
            if flight is None or landed is None or flight.remaining(landed, request) is None:
                flight, source = await self._take_off(request, settings, adapters, turn), "generated"
                landed = await self._wait(flight, turn, request)
            if landed is None:
                return None
            self._note(flight, source, landed)
            left = flight.remaining(landed, request) or evolve(landed, text="", alternatives=())
            return self._offer(request, settings, left)
        finally:
            self._turns.release(uri, turn)
            self._ahead.look(self._prompts, request, settings)

    def _applicable(self, request: CompletionRequest, settings: Settings) -> tuple[AppliedAdapter, ...]:
        """The document's adapters, as they are on disk, but for those that were refused."""
        document = request.document
        chosen = map(as_on_disk, adapters_for(settings.adapters, document.language_id, document.path))
        return tuple(adapter for adapter in chosen if adapter.file not in self._refused)

    def _refuse(self, error: AdapterError) -> None:
        """Leave an adapter out until its file, the settings or the model change."""
        if error.adapter.file not in self._refused:
            self._refused.add(error.adapter.file)
            self._on_refused(error)

    def _join(
        self, request: CompletionRequest, adapters: tuple[AppliedAdapter, ...]
    ) -> InFlightGeneration | None:
        """The document's running generation, if the user typed what it is producing; else it is aborted."""
        former = self._flights.get(request.document.uri)
        if former is not None and former.joins(request, adapters):
            return former
        if former is not None:
            former.abort()
        return None

    async def _take_off(
        self,
        request: CompletionRequest,
        settings: Settings,
        adapters: tuple[AppliedAdapter, ...],
        turn: Turn,
    ) -> InFlightGeneration:
        """Start a generation of one's own, after the debounce."""
        bounds = settings.completion
        automatic = request.trigger is Trigger.AUTOMATIC
        delay_ms = self._rhythm.delay_ms(bounds.debounce_min_ms, bounds.debounce_max_ms) if automatic else 0.0
        await turn.sleep(delay_ms)
        flight = self._launch(request, settings, adapters)
        self.last = evolve(self.last, delay_ms=delay_ms)
        return flight

    def _launch(
        self, request: CompletionRequest, settings: Settings, adapters: tuple[AppliedAdapter, ...]
    ) -> InFlightGeneration:
        if not self.ready or self._prompts is None:  # a reload began while this request waited
            raise SupersededError
        multiline = wants_multiline(request, settings.completion)
        former = self._flights.get(request.document.uri)
        prompt = evolve(
            self._prompts.current(request, settings),
            adapters=adapters,
            draft=former.draft if former is not None else "",
        )
        rules = stop_rules(request, settings.completion, multiline=multiline)
        flight = InFlightGeneration(request, prompt, rules, candidates_for(request, settings))
        flight.start(self._worker, self._prompts.sampling(request, settings), self._landed, self._refuse)
        self._flights[request.document.uri] = flight
        return flight

    def _prefetch(self, offer: ShownSuggestion) -> None:
        """Begin a generation that nobody waits for yet: a request joins it, or finds it in the cache."""
        request, settings = offer.accepted, offer.settings
        if not (settings.completion.prefetch and self.ready and is_enabled(request, settings)):
            return
        adapters = self._applicable(request, settings)
        if self._cache.find(request, adapters) is not None or self._join(request, adapters) is not None:
            return
        self._background.stop()
        self._launch(request, settings, adapters)

    async def _wait(
        self, flight: InFlightGeneration, turn: Turn, request: CompletionRequest
    ) -> Suggestion | None:
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

    def _abandon(self, flight: InFlightGeneration, grace_s: float) -> None:
        """Abort a flight that nobody joins within the grace."""
        if not grace_s:
            flight.abort()
            return

        def abort_if_unwanted() -> None:
            if not flight.waiting:
                flight.abort()

        asyncio.get_running_loop().call_later(grace_s, abort_if_unwanted)

    def _landed(
        self, flight: InFlightGeneration, generation: Generation, suggestion: Suggestion | None
    ) -> None:
        """Remember a suggestion and what it cost, whether or not somebody still waits."""
        wasted = generation.finish_reason is FinishReason.CANCELLED
        self._rhythm = self._rhythm.started(lost_ms(flight.prompt, generation.timings), wasted=wasted)
        if suggestion is not None:
            self._cache.put(flight.where, suggestion)

    def _note(self, flight: InFlightGeneration, source: Source, landed: Suggestion) -> None:
        engine = self._worker.engine
        self.last = evolve(
            self.last,
            source=source,
            model=engine.info.name if engine is not None else "",
            template=flight.prompt.template,
            multiline=flight.multiline,
            timings=landed.timings,
            speculation=engine.info.speculation.reason if engine is not None else "",
            parts=flight.prompt.parts,
            context=flight.prompt.context,
        )

    def _offer(
        self, request: CompletionRequest, settings: Settings, suggestion: Suggestion
    ) -> Completion | None:
        """Filter what was said, and decide what of it is worth showing."""
        judged = [judge(one, request, settings) for one in suggestion.all]
        shown = worth_showing(judged, request)[: candidates_for(request, settings)]
        first = shown[0] if shown else judged[0]
        self.last = evolve(
            self.last,
            uri=request.document.uri,
            adapters=suggestion.adapters,
            line=request.document.text.count("\n", 0, request.offset),
            echo=first.suggestion.echo,
            said=first.suggestion.text,
            ended_by=first.suggestion.ended_by,
            steps=first.filtered.steps,
            offered=first.completion.text if shown else None,
            alternatives=tuple(one.completion.text for one in shown[1:]),
            dropped_because=first.dropped_because,
            confidence=first.suggestion.confidence,
        )
        if not shown:
            self._offers.drop(request.document.uri)
            return None
        offered = evolve(first.completion, alternatives=tuple(one.completion for one in shown[1:]))
        self._offers.put(request, offered, settings)
        return offered
