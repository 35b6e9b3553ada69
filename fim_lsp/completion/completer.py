"""The whole pipeline from a cursor to an answer, readable from top to bottom.

cache -> in-flight generation -> debounce -> prompt -> engine and stop rules -> cache -> filters -> ranking.

While the user pauses, the prompts that come next are evaluated (``idle_prefill``), and what follows an
accepted suggestion is generated before it is asked for.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from attrs import evolve

from fim_lsp.code.cursor import CursorContext
from fim_lsp.completion.acceptance import ShownSuggestion, after_accepting
from fim_lsp.completion.answers import make_answer, silent_answer
from fim_lsp.completion.cache import CursorSnapshot, Suggestion, SuggestionCache
from fim_lsp.completion.debounce import LatestWins, Rhythm, SupersededError, Turn, lost_ms
from fim_lsp.completion.document_adapters import adapters_for, adapters_of_arm, as_on_disk
from fim_lsp.completion.enabled import is_enabled
from fim_lsp.completion.explain import Answer, Source
from fim_lsp.completion.generation import GenerationTask, InFlightGeneration, OnRefused
from fim_lsp.completion.idle_prefill import PAUSE_S, IdlePrefill
from fim_lsp.completion.open_documents import Folders, OpenDocuments, Related, no_related
from fim_lsp.completion.prefill_planner import PrefillPlanner
from fim_lsp.completion.prompts import Prompts, candidates_for
from fim_lsp.completion.query import Query
from fim_lsp.completion.request_memories import RequestMemories
from fim_lsp.completion.showing.display import SuggestionDisplay
from fim_lsp.completion.showing.eagerness import rules_for
from fim_lsp.completion.showing.features import KnowsName, no_names
from fim_lsp.completion.stop_rules import make_stop_rules
from fim_lsp.engine.base import AdapterError, Engine
from fim_lsp.engine.memory import CorpusSource, no_corpora
from fim_lsp.engine.worker import InferenceWorker
from fim_lsp.experiment import uses_second_model
from fim_lsp.prompt.templates import ChosenTemplate, choose_template
from fim_lsp.settings import AdapterSettings, Settings
from fim_lsp.types import (
    AppliedAdapter,
    CompletionRequest,
    DocumentSnapshot,
    FinishReason,
    Generation,
    LineEdit,
    Prompt,
    Timings,
    Trigger,
)

logger = logging.getLogger(__name__)

_GRACE_S = 0.3
"""Seconds that a generation goes on without a waiting request after its document changed: VS Code cancels
a request before it sends the one that may join."""
_COMPUTING_S = 0.005
"""Seconds after which a model that was asked computes, and leaves Python to the event loop. Before, the two
would take turns."""


def _log(error: AdapterError) -> None:
    logger.warning("%s", error)


class Completer:
    """Answers completion requests from one worker. Lives on one asyncio loop.

    Args:
        worker: runs the model.
        clock: seconds of any steady clock.
        on_refused: called once with each adapter that can't be applied; completion goes on without it.
        pause_s: seconds without a keystroke after which idle prefill begins.
        folders: returns the workspace's folders; files outside of them are shown to no other file's prompt.
        knows_name: tells whether a name stands in the workspace's files.
        corpora: returns what an index of the workspace has ready for the repository memory.
        related: returns files of that index that may help in a document, for snippets.
    """

    def __init__(
        self,
        worker: InferenceWorker,
        clock: Callable[[], float] = time.perf_counter,
        on_refused: OnRefused = _log,
        pause_s: float = PAUSE_S,
        folders: Folders = tuple,
        corpora: CorpusSource = no_corpora,
        knows_name: KnowsName = no_names,
        related: Related = no_related,
    ) -> None:
        self._worker = worker
        self._clock = clock
        self._on_refused = on_refused
        self._adapters: tuple[AdapterSettings, ...] = ()
        self._refused: set[tuple[Path, int]] = set()
        self._turns = LatestWins()
        self._rhythm = Rhythm()
        self._cache = SuggestionCache(0)
        self._generations: dict[str, InFlightGeneration] = {}
        self._versions: dict[str, int] = {}
        self._display = SuggestionDisplay(clock, knows_name)
        self._prompts: Prompts | None = None
        self._documents = OpenDocuments(folders)
        self._related = related
        self._memories = RequestMemories(self._documents, corpora)
        self._idle_prefill = IdlePrefill(worker, pause_s, clock)
        self._planner = PrefillPlanner(self._idle_prefill, self._applicable, self._memories.of)

    @property
    def ready(self) -> bool:
        """True once a model is loaded and its template known."""
        return self._worker.engine is not None and self._prompts is not None

    def reads_snippets(self, settings: Settings) -> bool:
        """Tell whether prompts hold snippets of other files."""
        return self._prompts is not None and self._prompts.reads_snippets(settings)

    @property
    def generating(self) -> bool:
        """True while a generation is queued or running."""
        return any(not generation.outcome.done() for generation in self._generations.values())

    @property
    def preparing(self) -> bool:
        """True while prompts wait for a pause, or are being evaluated in one."""
        return self._idle_prefill.busy

    # --- What happens in the editor and to the model

    def model_changed(self, engine: Engine, settings: Settings) -> ChosenTemplate:
        """Take up a newly loaded model: choose its template and forget the former one's suggestions.

        Raises:
            TemplateError: the settings name a template that this model's vocabulary can't express.
        """
        former, self._prompts = self._prompts, None
        chosen = choose_template(engine.info, engine.tokenizer, settings.model.template)
        prompts = Prompts(engine, chosen, self._documents, self._related)
        self._prompts = evolve(prompts, bases=former.bases) if former is not None else prompts
        self._refused.clear()
        self._memories.model_changed(None if engine.info.host else engine.tokenizer.encode)
        self.settings_changed(settings)
        self._planner.warm_up(self._prompts, settings)
        return chosen

    def model_returned(self, engine: Engine, settings: Settings) -> bool:
        """Go on where the same model was when it was unloaded; False if this is another one."""
        if self._prompts is None or not self._prompts.engine.info.same_model(engine.info):
            return False
        self._prompts = evolve(self._prompts, engine=engine)
        self._memories.model_changed(None if engine.info.host else engine.tokenizer.encode)
        self._planner.warm_up(self._prompts, settings)
        return True

    def forget_files(self, paths: Collection[str]) -> None:
        """Forget what was made with files that must not be shown any more, by their paths in a prompt."""
        self._cache.clear()
        self._idle_prefill.stop()
        for generation in self._generations.values():
            generation.abort()
        # The last text of each would be the next one's draft.
        self._generations.clear()
        if self._prompts is not None:
            self._prompts.forget_files(paths)

    def settings_changed(self, settings: Settings) -> None:
        """Forget suggestions that other settings might not have made."""
        self._cache = SuggestionCache(settings.completion.cache_size)
        self._display.settings_changed()
        if settings.adapters != self._adapters:
            self._adapters = settings.adapters
            self._refused.clear()

    def opened(self, document: DocumentSnapshot, settings: Settings) -> None:
        """Evaluate the part of a document's first prompt that is known, once there is a model."""
        self._documents.opened(document)
        self._planner.opened(document)
        self._planner.warm_up(self._prompts, settings)

    def edited(self, uri: str, version: int, text: str | None = None, edits: Sequence[LineEdit] = ()) -> None:
        """Note that a document changed; a generation without a waiting request may then still be joined.

        Where ``text`` is the document with the last suggestion accepted, begin the next generation.
        """
        self._versions[uri] = version
        self._display.edited(uri, edits)
        if text is not None:
            withdrawn = self._documents.edited(uri, version, text)
            if withdrawn is not None:
                self.forget_files([withdrawn])
        self._rhythm = self._rhythm.keystroke(self._clock() * 1000)
        if (shown := self._display.shown.accepted_by_edit(uri, text)) is not None:
            self._prefetch(shown)
            return
        generation = self._generations.get(uri)
        if generation is not None and generation.running and not generation.waiting:
            generation.abort_unless_joined(_GRACE_S)

    def cursor_rested(self, request: CompletionRequest, settings: Settings) -> None:
        """Evaluate the prompt where the cursor rests, before a key is typed there."""
        if self.ready and is_enabled(request, settings):
            self._documents.used(request.document.uri)
            self._planner.plan_at_rest(self._prompts, request, settings, self._cold_tokens(settings))

    def accepted(self, uri: str | None, candidate: int = 0) -> None:
        """Generate what follows: the document's last suggestion, or the last of all, was accepted."""
        version = self._versions.get(uri) if uri is not None else None
        if (shown := self._display.shown.accepted_by_command(uri, version, candidate)) is not None:
            self._prefetch(shown)

    def dismissed(self, uri: str | None) -> None:
        """Remember that the user dismissed a document's suggestion, or the last of all."""
        self._display.dismissed(uri)

    def closed(self, uri: str) -> None:
        """Forget a document's prompts and suggestions, and abort its generation."""
        self._versions.pop(uri, None)
        self._display.closed(uri)
        self._documents.closed(uri)
        self._planner.closed(uri)
        if self._prompts is not None:
            self._prompts.forget(uri)
        if (generation := self._generations.pop(uri, None)) is not None:
            generation.abort()

    def keep_out(self, uris: Iterable[str]) -> None:
        """Show these documents to no other one's prompt."""
        self._documents.keep_out(uris)

    def stop(self) -> None:
        """End idle prefill."""
        self._idle_prefill.stop()

    # --- From a request to its answer

    async def complete(self, request: CompletionRequest, settings: Settings) -> Answer:
        """Complete at the cursor.

        Raises:
            SupersededError: a newer request for the same document came meanwhile.
            FimLspError: the engine failed.
        """
        if not self.ready or not is_enabled(request, settings):
            return Answer(None)
        query = self._query(request, settings)
        self._documents.used(query.uri)
        turn = self._turns.take(query.uri)
        if self._planner.types_on(request):
            self._idle_prefill.end_after_batch()
        else:
            self._idle_prefill.stop()
        left, because = self._display.follow(query)
        try:
            if because:
                self._join(query)  # the document's generation goes on if it fits, and is aborted otherwise
                return silent_answer(query, because)
            return await self._answer(query, turn, left)
        finally:
            self._turns.release(query.uri, turn)
            self._planner.plan(self._prompts, request, settings)

    async def _answer(self, query: Query, turn: Turn, shown: str) -> Answer:
        """Look for a suggestion; ``shown`` is what is left of the one on the screen."""
        cached = self._cache.find(query.request, query.adapters)
        if cached is not None:
            await self._calm(query, turn, shown)
            explanation = evolve(cached.explanation, timings=Timings(), notice="")
            return self._show(query, evolve(cached, explanation=explanation), "cache", shown)
        running = self._join(query)
        if running is not None:
            joined = await self._wait(running, turn, query.request)
            left = running.remaining(joined, query.request) if joined is not None else None
            if left is not None:
                await self._calm(query, turn, shown)
                return self._show(query, left, "joined", shown)
        delay_ms, hold_ms = self._delay_ms(query), 0.0
        if self._evaluates_meanwhile(query):
            hold_ms = max(0.0, delay_ms - query.settings.completion.debounce_min_ms)
        await turn.sleep(delay_ms - hold_ms)
        generation = self._generate(query, hold_ms)
        preparing = asyncio.get_running_loop().call_later(_COMPUTING_S, query.context.prepare)
        try:
            finished = await self._wait(generation, turn, query.request)
        finally:
            preparing.cancel()
        if finished is None:
            return Answer(None)
        left = generation.remaining(finished, query.request)
        nothing = evolve(finished, text="", alternatives=())
        await self._calm(query, turn, shown)
        waited_ms = delay_ms - hold_ms + generation.held_ms
        return self._show(query, left or nothing, "generated", shown, waited_ms)

    async def _calm(self, query: Query, turn: Turn, shown: str) -> None:
        """Wait while another suggestion at each key would make the editor flicker."""
        if query.automatic and not shown:
            await turn.sleep(self._display.wait_ms(query))

    def _query(self, request: CompletionRequest, settings: Settings) -> Query:
        return Query(
            request,
            settings,
            self._applicable(request, settings),
            CursorContext.of(request),
            rules_for(settings.completion),
        )

    def _applicable(self, request: CompletionRequest, settings: Settings) -> tuple[AppliedAdapter, ...]:
        """Return the document's adapters, as they are on disk, without those that were refused."""
        document = request.document
        remote = self._prompts is not None and bool(self._prompts.engine.info.host)
        arm = adapters_of_arm(settings.experiment, document.uri, remote=remote)
        adapters = (*settings.adapters, *arm)
        listed = adapters_for(adapters, document.language_id, document.path, remote=remote)
        chosen = map(as_on_disk, listed)
        return tuple(adapter for adapter in chosen if adapter.file not in self._refused)

    def _refuse(self, error: AdapterError) -> None:
        """Leave an adapter out until its file, the settings or the model change."""
        if error.adapter.file not in self._refused:
            self._refused.add(error.adapter.file)
            self._on_refused(error)

    def _join(self, query: Query) -> InFlightGeneration | None:
        """Return the document's generation, if the user typed what it is producing; abort any other."""
        former = self._generations.get(query.uri)
        if former is not None and former.joins(query.request, query.adapters):
            return former
        if former is not None:
            former.abort()
        return None

    def _delay_ms(self, query: Query) -> float:
        """Return how long to debounce a request."""
        if query.request.trigger is not Trigger.AUTOMATIC:
            return 0.0
        bounds = query.settings.completion
        return self._rhythm.delay_ms(bounds.debounce_min_ms, bounds.debounce_max_ms)

    def _evaluates_meanwhile(self, query: Query) -> bool:
        """Tell whether the prompt is evaluated while a request is debounced.

        Where a key leaves most of the prompt as it is, evaluating it is no lost work. In a burst most
        requests are superseded, and a server has other clients: there nothing is begun.
        """
        return (
            self._prompts is not None
            and not self._prompts.engine.info.host
            and not self._rhythm.wasted
            and self._prompts.keeps(query.settings)
        )

    def _generate(self, query: Query, hold_ms: float = 0.0) -> InFlightGeneration:
        """Begin a generation for a query; behind its first token it goes on after ``hold_ms``.

        Raises:
            SupersededError: a reload began while the request waited.
        """
        if not self.ready or self._prompts is None:
            raise SupersededError
        request, completion = query.request, query.settings.completion
        former = self._generations.get(query.uri)
        cold_tokens = self._cold_tokens(query.settings)

        def complete_prompt(prompt: Prompt) -> Prompt:
            draft = former.draft if former is not None else ""
            memory = self._memories.of(request, query.settings)
            second = uses_second_model(query.settings.experiment, query.uri)
            return evolve(prompt, adapters=query.adapters, draft=draft, memory=memory, second_model=second)

        def shorten() -> Prompt | None:
            if cold_tokens is None or self._prompts is None:
                return None
            return complete_prompt(self._prompts.shortened(request, query.settings, cold_tokens))

        multiline = query.wants_multiline(accepted=self._display.is_accepted(query))
        task = GenerationTask(
            request,
            complete_prompt(self._prompts.current(request, query.settings, cold_tokens)),
            make_stop_rules(query.context, completion, multiline=multiline),
            self._prompts.sampling(request, query.settings),
            candidates_for(request, query.settings),
            shorten,
            hold_ms,
        )
        generation = InFlightGeneration(self._worker, task, self._finished, self._refuse)
        self._generations[query.uri] = generation
        return generation

    def _cold_tokens(self, settings: Settings) -> int | None:
        """Return how many tokens a prompt at a new place may evaluate; None for no limit."""
        return self._worker.prefill_speed.tokens_within(settings.prompt.cold_ms)

    def _prefetch(self, shown: ShownSuggestion) -> None:
        """Begin a generation before it is asked for: a request joins it, or finds it in the cache."""
        request, settings = shown.accepted, shown.settings
        self._display.accepted(shown)
        if not (settings.completion.prefetch and self.ready and is_enabled(request, settings)):
            return
        query = self._query(request, settings)
        if self._cache.find(request, query.adapters) is None and self._join(query) is None:
            self._idle_prefill.stop()
            self._generate(query)

    async def _wait(
        self, generation: InFlightGeneration, turn: Turn, request: CompletionRequest
    ) -> Suggestion | None:
        """Wait for the generation. Abort it if no request is waiting for it any more."""
        generation.waiting += 1
        grace_s = _GRACE_S
        try:
            # Shielded: a cancelled request must not take the generation with it that others may join.
            return await turn.result(asyncio.shield(generation.outcome))
        except asyncio.CancelledError:
            version = request.document.version
            if self._versions.get(request.document.uri, version) == version:
                grace_s = 0.0
            raise
        finally:
            generation.waiting -= 1
            if not generation.waiting and generation.running:
                generation.abort_unless_joined(grace_s)

    def _finished(
        self, in_flight: InFlightGeneration, generation: Generation, suggestion: Suggestion | None
    ) -> None:
        """Remember a suggestion and what it cost, whether or not a request still waits."""
        wasted = generation.finish_reason is FinishReason.CANCELLED
        self._rhythm = self._rhythm.started(lost_ms(in_flight.prompt, generation.timings), wasted=wasted)
        if suggestion is not None:
            self._cache.put(in_flight.cursor, suggestion)

    def _show(
        self, query: Query, suggestion: Suggestion, source: Source, left: str = "", delay_ms: float = 0.0
    ) -> Answer:
        """Make the answer, and note what may be on the screen then."""
        answer = make_answer(query, suggestion, source, self._display.judge(query), left, delay_ms)
        self._display.put(query, answer, self._versions.get(query.uri))
        if answer.rest and answer.completion is not None and answer.suggestion is not None:
            accepted = CursorSnapshot.of(after_accepting(query.request, answer.completion))
            self._cache.put(accepted, answer.suggestion.continued_by(answer.rest))
        return answer
