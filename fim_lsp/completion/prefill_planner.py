"""Plan idle prefill: the first prompt of a document, the prompt where the cursor rests, and the next ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from attrs import evolve

from fim_lsp.completion.cache import CursorSnapshot, typed_since
from fim_lsp.completion.enabled import is_enabled
from fim_lsp.completion.idle_prefill import IdlePrefill, PrefillOrder
from fim_lsp.completion.prompts import PlannedPrefill, Prompts
from fim_lsp.engine.memory import RepositoryMemory
from fim_lsp.experiment import uses_second_model
from fim_lsp.settings import Settings
from fim_lsp.types import AppliedAdapter, CompletionRequest, DocumentSnapshot, Trigger

AdaptersFor = Callable[[CompletionRequest, Settings], tuple[AppliedAdapter, ...]]
MemoryFor = Callable[[CompletionRequest, Settings], RepositoryMemory | None]


class PrefillPlanner:
    """Gives idle prefill its prompts.

    Args:
        idle_prefill: evaluates them.
        adapters_for: returns the adapters that a request's prompt is evaluated under.
        memory_for: returns the repository memory of a request.
    """

    def __init__(self, idle_prefill: IdlePrefill, adapters_for: AdaptersFor, memory_for: MemoryFor) -> None:
        self._idle_prefill = idle_prefill
        self._adapters_for = adapters_for
        self._memory_for = memory_for
        self._opened: DocumentSnapshot | None = None
        self._planned: tuple[str, int, int] | None = None
        """Document, version and offset of the cursor that was planned for last."""
        self._cursor: CursorSnapshot | None = None
        """That cursor with the text near it."""

    def opened(self, document: DocumentSnapshot) -> None:
        """Note the document opened last."""
        self._opened = document

    def closed(self, uri: str) -> None:
        """Note that a document was closed."""
        if self._opened is not None and self._opened.uri == uri:
            self._opened = None

    def warm_up(self, prompts: Prompts | None, settings: Settings) -> None:
        """Evaluate the known part of the first prompt in the document opened last, once there is a model."""
        document = self._opened
        if prompts is None or document is None:
            return
        request = CompletionRequest(document, 0, Trigger.INVOKED)
        if is_enabled(request, settings):
            self._start(prompts, request, settings, lambda: prompts.plan_opening(document, settings))

    def plan(self, prompts: Prompts | None, request: CompletionRequest, settings: Settings) -> None:
        """Evaluate the prompts that the next keystrokes will need."""
        if prompts is not None:
            self._note(request)
            self._start(prompts, request, settings, lambda: prompts.plan_next(request, settings))

    def types_on(self, request: CompletionRequest) -> bool:
        """Tell whether something was typed, and nothing else happened, since the last plan was made."""
        return self._cursor is not None and bool(typed_since(self._cursor, CursorSnapshot.of(request)))

    def plan_at_rest(
        self,
        prompts: Prompts | None,
        request: CompletionRequest,
        settings: Settings,
        cold_tokens: int | None = None,
    ) -> None:
        """Evaluate the prompt of the first key where the cursor rests, within the CPU time for that.

        Nothing is done where the last request was: its own plan goes further.
        """
        limit = settings.prompt.cursor_cpu_seconds
        if prompts is not None and limit and self._planned != _place(request):
            self._note(request)

            def find() -> Iterator[PlannedPrefill]:
                memory = self._memory_for(request, settings)
                for planned in prompts.plan_at_rest(request, settings, cold_tokens):
                    yield evolve(planned, prompt=evolve(planned.prompt, memory=memory))

            self._start(prompts, request, settings, find, limit)

    def _note(self, request: CompletionRequest) -> None:
        self._planned, self._cursor = _place(request), CursorSnapshot.of(request)

    def _start(
        self,
        prompts: Prompts,
        request: CompletionRequest,
        settings: Settings,
        find: Callable[[], Iterable[PlannedPrefill]],
        cpu_s_a_minute: float | None = None,
    ) -> None:
        def find_adapted() -> Iterator[PlannedPrefill]:
            adapters = self._adapters_for(request, settings)
            second = uses_second_model(settings.experiment, request.document.uri)
            for planned in find():
                yield evolve(planned, prompt=evolve(planned.prompt, adapters=adapters, second_model=second))

        def adopt(planned: PlannedPrefill) -> None:
            if planned.base is not None:
                prompts.adopt(planned.base)

        self._idle_prefill.start(PrefillOrder(find_adapted, adopt, cpu_s_a_minute))


def _place(request: CompletionRequest) -> tuple[str, int, int]:
    return request.document.uri, request.document.version, request.offset
