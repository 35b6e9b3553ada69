"""One loaded model that many clients share: prompts, turns, generations and what becomes of them.

The language server's own parts do the work: ``completion.prompts`` lays a prompt out, ``InFlightGeneration``
completes as in an editor, and the worker's one thread evaluates.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Literal

from attrs import evolve, field, frozen
from cachetools import LRUCache

from fim_lsp.code.cursor import CursorContext
from fim_lsp.code.languages import language_of
from fim_lsp.completion.generation import GenerationTask, InFlightGeneration
from fim_lsp.completion.idle_prefill import IdlePrefill
from fim_lsp.completion.multiline import wants_multiline
from fim_lsp.completion.open_documents import OpenDocuments
from fim_lsp.completion.prefill_planner import PrefillPlanner
from fim_lsp.completion.prompts import Prompts
from fim_lsp.completion.request_memories import RequestMemories
from fim_lsp.completion.stop_rules import make_stop_rules
from fim_lsp.engine.base import (
    AdapterError,
    CancelToken,
    DecodeError,
    Engine,
    EngineError,
    EngineFactory,
)
from fim_lsp.engine.memory import CorpusSource, no_corpora
from fim_lsp.engine.worker import InferenceWorker
from fim_lsp.prompt.markers import stop_ids
from fim_lsp.prompt.templates import choose_template
from fim_lsp.serving.choice_stream import ChoiceStream
from fim_lsp.serving.choices import check_ended, cut_at_stop, insertable, joined
from fim_lsp.serving.cut_off import CutOff, check_answered
from fim_lsp.serving.fair_queue import FairQueue
from fim_lsp.serving.orders import (
    Choice,
    CompletionOrder,
    HolePrompt,
    Outcome,
    ServedPiece,
    TokenPrompt,
)
from fim_lsp.serving.places import ClientPlace, Places
from fim_lsp.serving.refusals import RefusedError
from fim_lsp.settings import Settings
from fim_lsp.types import (
    AppliedAdapter,
    CompletionRequest,
    DocumentSnapshot,
    Generation,
    Prompt,
    SamplingParams,
)

logger = logging.getLogger(__name__)

OnPiece = Callable[[ServedPiece], None]
"""Called on the event loop with each piece of text."""
_REMEMBERED_PLACES = 64


def _ignore(_: ServedPiece) -> None:
    """Take a piece that the client does not want yet."""


@frozen
class _LaidOut:
    """An order's prompt, as the model gets it."""

    prompt: Prompt
    request: CompletionRequest | None = field(default=None, repr=False)
    """The cursor, for a prompt with a hole."""


class ServedModel:
    """Completes orders. Lives on one asyncio loop.

    Args:
        factory: opens the model that the settings name.
        settings: the settings of the command line; those of prompt, sampling and completion count for all.
        queue: gives turns.
        deadline_s: seconds that an order may take, with its wait.
        corpora: returns what an index of the workspace has ready for the repository memory.
        clock: the clock of the queue.
    """

    def __init__(
        self,
        factory: EngineFactory,
        settings: Settings,
        queue: FairQueue,
        deadline_s: float,
        corpora: CorpusSource = no_corpora,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.settings = settings
        self.queue = queue
        self.failure: Exception | None = None
        """The reason why the model could not be loaded."""
        self.open = False
        """True once model and adapters are loaded, so that orders are taken."""
        self._deadline_s = deadline_s
        self._clock = clock
        self._worker = InferenceWorker(factory)
        self._prompts: Prompts | None = None
        self._places = Places()
        self._memories = RequestMemories(OpenDocuments(), corpora)
        self._version = 0
        self._idle_prefill = IdlePrefill(self._worker, clock=clock)
        self._adapters_at: LRUCache[str, tuple[AppliedAdapter, ...]] = LRUCache(_REMEMBERED_PLACES)
        self._planner = PrefillPlanner(
            self._idle_prefill,
            lambda request, _: self._adapters_at.get(request.document.uri, ()),
            self._memories.of,
        )

    @property
    def state(self) -> Literal["loading", "ready", "failed"]:
        """The state of the model."""
        if self.failure is not None:
            return "failed"
        return "ready" if self.open else "loading"

    @property
    def engine(self) -> Engine:
        """The loaded engine, for its info and tokenizer.

        Raises:
            RefusedError: the model is not loaded.
        """
        if self._worker.engine is None or not self.open:
            what = "The model is not loaded." if self.state == "failed" else "Loading model"
            raise RefusedError(503, what, "Try again later.", name="model_unavailable", retry_after_s=1)
        return self._worker.engine

    async def load(self, on_progress: Callable[[float], None] = lambda part: None) -> Engine:
        """Load the model.

        Raises:
            FimLspError: the model can't be used.
        """
        try:
            engine = await self._worker.load(self.settings.model, on_progress)
            chosen = choose_template(engine.info, engine.tokenizer, self.settings.model.template)
        except Exception as error:
            self.failure = error
            raise
        self._prompts = Prompts(engine, chosen)
        self._memories.model_changed(engine.tokenizer.encode)
        logger.info("Loaded %s: %s", engine.info.name, chosen.reason)
        return engine

    async def check_adapters(self, adapters: tuple[AppliedAdapter, ...]) -> None:
        """Load adapters, to know that they fit.

        Raises:
            AdapterError: one of them does not.
        """
        engine = self._worker.engine
        if engine is None:
            raise EngineError("No model is loaded.")
        prompt = Prompt(engine.tokenizer.encode("\n"), "", adapters=adapters)
        turn = await self.queue.enter("")
        try:
            await self._worker.prefill(prompt, CancelToken())
        finally:
            turn.release()

    async def unload(self) -> None:
        """Free the model; what waits is refused."""
        self._idle_prefill.stop()
        await self._worker.unload()

    async def close(self) -> None:
        """Abort what runs, and free the model."""
        self._idle_prefill.stop()
        await self._worker.close()

    async def complete(
        self, order: CompletionOrder, client: str, on_piece: OnPiece = _ignore, wait_s: float | None = None
    ) -> Outcome:
        """Complete an order. A cancel aborts the generation within milliseconds.

        Text that is there at the deadline is the answer, as at the limit of tokens.

        Args:
            order: what to complete.
            client: a name that the client's requests share; turns and places are its own.
            on_piece: gets the text as it comes.
            wait_s: seconds that the client wants to wait at most.

        Raises:
            RefusedError: too many wait, there was no text at the deadline, or the model is not there.
            EngineError: the engine refused the prompt or an adapter.
        """
        limit_s = self._deadline_s if wait_s is None else min(wait_s, self._deadline_s)
        deadline_s = self._clock() + limit_s
        _ = self.engine  # refuse before anything waits
        place = self._place_of(order, client)
        turn = await self.queue.enter(
            client, place=place.number if place is not None else None, deadline_s=deadline_s
        )
        cut_off = CutOff()
        try:
            self._idle_prefill.stop()
            laid_out = self._lay_out(order, client, place)
            with cut_off.after(deadline_s - self._clock()):
                outcome = await self._run(order, laid_out, on_piece, cut_off)
        finally:
            turn.release()
        check_answered(outcome, cut_off, limit_s, self.queue.mean_turn_s, own=limit_s < self._deadline_s)
        self._plan(order, laid_out)
        return outcome

    async def _run(
        self, order: CompletionOrder, laid_out: _LaidOut, on_piece: OnPiece, cut_off: CutOff
    ) -> Outcome:
        if not order.limits.max_tokens:
            timings = await self._worker.prefill(laid_out.prompt, cut_off.token)
            return Outcome(tuple(Choice("", "length") for _ in range(order.count)), timings)
        if order.filters and laid_out.request is not None:
            return await self._fill_as_editor(order, laid_out.prompt, laid_out.request, on_piece, cut_off)
        if order.temperature > 0:
            outcome = Outcome(())
            for index in range(order.count):
                seeded = evolve(order, count=1, seed=order.seed + index)
                outcome = joined(outcome, await self._generate(seeded, laid_out, on_piece, cut_off, index))
            return outcome
        try:
            return await self._generate(order, laid_out, on_piece, cut_off)
        except DecodeError as error:
            if not isinstance(order.prompt, TokenPrompt):
                raise
            problem = "The model has no token for one of these ids."
            raise RefusedError(
                400, problem, "Take ids of its own tokenizer, or send text.", param="prompt"
            ) from error

    # --- From an order to the model's prompt

    def _place_of(self, order: CompletionOrder, client: str) -> ClientPlace | None:
        """Return the place in the code of a prompt with a hole."""
        prompt = order.prompt
        return (
            self._places.find(client, prompt.path, prompt.before) if isinstance(prompt, HolePrompt) else None
        )

    def _lay_out(self, order: CompletionOrder, client: str, place: ClientPlace | None) -> _LaidOut:
        """Build the prompt of an order."""
        tokenizer, prompt = self.engine.tokenizer, order.prompt
        if isinstance(prompt, HolePrompt):
            assert place is not None
            return self._lay_out_hole(prompt, order, place)
        if isinstance(prompt, TokenPrompt):
            head, tail = prompt.ids, ""
        else:
            head = () if tokenizer.bos is None else (tokenizer.bos,)
            tail = prompt.text
        if not head and not tail:
            raise RefusedError(400, "The prompt is empty.", "Send some text.", param="prompt")
        assert self._prompts is not None
        template = self._prompts.chosen.template
        return _LaidOut(
            Prompt(
                head,
                tail,
                stop_ids=stop_ids(template, tokenizer) if template is not None else frozenset(),
                heal=self.settings.prompt.heal_tokens and bool(tail),
                adapters=order.adapters,
                location=f"{client}/{'text' if tail else 'tokens'}",
            )
        )

    def _lay_out_hole(self, hole: HolePrompt, order: CompletionOrder, place: ClientPlace) -> _LaidOut:
        assert self._prompts is not None
        self._version += 1
        language = language_of(hole.path, hole.before) if hole.path else None
        language_id = hole.language or (language.id if language else "plaintext")
        document = DocumentSnapshot(place.uri, language_id, self._version, place.before + hole.after)
        request = CompletionRequest(document, len(place.before))
        settings = self._settings_for(order)
        if hole.snippets is None:
            prompt = self._prompts.current(request, settings)
        else:
            prompt = self._prompts.current_with(request, settings, hole.snippets)
        memory = self._memories.of(request, settings) if order.filters else None
        return _LaidOut(evolve(prompt, adapters=order.adapters, memory=memory), request)

    def _settings_for(self, order: CompletionOrder) -> Settings:
        """Return the settings with the order's limit, so that the prompt leaves room for the answer."""
        sampling = evolve(self.settings.sampling, max_tokens=max(1, order.limits.max_tokens))
        return evolve(self.settings, sampling=sampling)

    def _sampling(self, order: CompletionOrder, request: CompletionRequest | None) -> SamplingParams:
        assert self._prompts is not None
        own = self._prompts.sampling(request, self._settings_for(order)) if request is not None else None
        return SamplingParams(
            max_tokens=order.limits.max_tokens,
            temperature=order.temperature,
            top_k=order.top_k,
            top_p=order.top_p,
            seed=order.seed,
            end_bias=own.end_bias if own is not None else 0.0,
        )

    # --- Generations

    async def _generate(
        self,
        order: CompletionOrder,
        laid_out: _LaidOut,
        on_piece: OnPiece,
        cut_off: CutOff,
        first: int = 0,
    ) -> Outcome:
        """Generate the choices of an order side by side, and pass their text on as it comes."""
        loop = asyncio.get_running_loop()

        def emit(piece: ServedPiece) -> None:
            loop.call_soon_threadsafe(on_piece, piece)

        streams = [ChoiceStream(first + index, order.limits, emit) for index in range(order.count)]
        generations = await self._worker.generate(
            laid_out.prompt,
            self._sampling(order, laid_out.request),
            cut_off.token,
            [stream.on_token for stream in streams],
        )
        if not cut_off.reached:
            check_ended(generations)
        elif len(generations) < len(streams):
            generations = generations[:1] * len(streams)  # the time was over before the first token
        choices = tuple(
            stream.finish(generation) for stream, generation in zip(streams, generations, strict=False)
        )
        # The last pieces are on their way through the loop: let them arrive before the outcome.
        await asyncio.sleep(0)
        return Outcome(choices, generations[0].timings)

    async def _fill_as_editor(
        self,
        order: CompletionOrder,
        prompt: Prompt,
        request: CompletionRequest,
        on_piece: OnPiece,
        cut_off: CutOff,
    ) -> Outcome:
        """Generate with the language server's stop rules, retry and filters; the text comes at the end."""
        context, settings = CursorContext.of(request), self._settings_for(order)
        multiline = wants_multiline(context, request.trigger, settings.completion)
        task = GenerationTask(
            request,
            prompt,
            make_stop_rules(context, settings.completion, multiline=multiline),
            self._sampling(order, request),
            order.count,
        )
        refused: list[AdapterError] = []
        ended: list[Generation] = []
        generation = InFlightGeneration(
            self._worker, task, lambda _, generation, __: ended.append(generation), refused.append
        )
        cut_off.also(generation.abort)
        try:
            suggestion = await asyncio.shield(generation.outcome)
        except asyncio.CancelledError:
            generation.abort()
            raise
        if refused:
            raise refused[0]
        if suggestion is None and cut_off.reached:
            return Outcome((Choice("", "length"),))
        if suggestion is None:
            check_ended(ended)
            return Outcome((Choice("", "rule"),), ended[0].timings)
        choices = tuple(
            cut_at_stop(insertable(each, context, settings), order.limits.stop) for each in suggestion.all
        )
        for index, choice in enumerate(choices):
            if choice.text:
                on_piece(ServedPiece(index, choice.text))
        return Outcome(choices, suggestion.explanation.timings)

    def _plan(self, order: CompletionOrder, laid_out: _LaidOut) -> None:
        """Evaluate what the next keys at this place need, if no other request waits."""
        request, sent_snippets = laid_out.request, getattr(order.prompt, "snippets", None)
        if request is None or sent_snippets or self.queue.running or self.queue.waiting:
            return
        self._adapters_at[request.document.uri] = order.adapters
        self._planner.plan(self._prompts, request, self._settings_for(order))
