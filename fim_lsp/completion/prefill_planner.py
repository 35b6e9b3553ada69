"""What to evaluate while nobody waits: the first prompt of a document, and the next ones at a cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from attrs import evolve

from fim_lsp.completion.enabled import is_enabled
from fim_lsp.completion.idle_prefill import IdlePrefill
from fim_lsp.completion.prompts import PlannedPrefill, Prompts
from fim_lsp.settings import Settings
from fim_lsp.types import AppliedAdapter, CompletionRequest, DocumentSnapshot, Trigger

AdaptersFor = Callable[[CompletionRequest, Settings], tuple[AppliedAdapter, ...]]


class PrefillPlanner:
    """Sets the background to work for one completer."""

    def __init__(self, background: IdlePrefill, adapters_for: AdaptersFor) -> None:
        self._background = background
        self._adapters_for = adapters_for
        self._opened: DocumentSnapshot | None = None

    def opened(self, document: DocumentSnapshot) -> None:
        """Note the document opened last."""
        self._opened = document

    def closed(self, uri: str) -> None:
        """A document was closed."""
        if self._opened is not None and self._opened.uri == uri:
            self._opened = None

    def warm_up(self, prompts: Prompts | None, settings: Settings) -> None:
        """Evaluate what is known of the first prompt in the document opened last, once there is a model."""
        document = self._opened
        if prompts is None or document is None:
            return
        request = CompletionRequest(document, 0, Trigger.INVOKED)
        if is_enabled(request, settings):
            self._start(prompts, request, settings, lambda: prompts.opening(document, settings))

    def look(self, prompts: Prompts | None, request: CompletionRequest, settings: Settings) -> None:
        """Evaluate what the next keystrokes will need."""
        if prompts is not None:
            self._start(prompts, request, settings, lambda: prompts.ahead(request, settings))

    def _start(
        self,
        prompts: Prompts,
        request: CompletionRequest,
        settings: Settings,
        find: Callable[[], Iterable[PlannedPrefill]],
    ) -> None:
        def adapted() -> Iterator[PlannedPrefill]:
            adapters = self._adapters_for(request, settings)
            for one in find():
                yield evolve(one, prompt=evolve(one.prompt, adapters=adapters))

        def evaluated(preparation: PlannedPrefill) -> None:
            if preparation.basis is not None:
                prompts.adopt(preparation.basis)

        self._background.start(adapted, evaluated)
