"""The prompts of all open documents, each on a basis that stays as long as it serves; and those to come.

What moves an anchor or a window, or exchanges the snippets of other files, costs the user an evaluation of
the whole prompt. It can be seen coming, so the prompts that will be asked for then are evaluated before, on a
sequence that nobody is in; snippets are exchanged in no other way.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from attrs import evolve, field, frozen
from cachetools import LRUCache

from fim_lsp.code.outline import outline
from fim_lsp.completion.open_documents import OpenDocuments
from fim_lsp.engine.base import Engine
from fim_lsp.gguf_keys import END_BIAS
from fim_lsp.prompt.anchor import Anchor, decided, is_ageing, next_anchor
from fim_lsp.prompt.builder import build
from fim_lsp.prompt.repository import knows_repositories
from fim_lsp.prompt.snippets import SnippetQuery, choose
from fim_lsp.prompt.templates import ChosenTemplate
from fim_lsp.prompt.window import CHARS_PER_TOKEN
from fim_lsp.settings import CompletionSettings, Settings
from fim_lsp.types import (
    CompletionRequest,
    DocumentSnapshot,
    ModelInfo,
    Prompt,
    SamplingParams,
    Snippet,
    Trigger,
)

_BASES = 64
_AHEAD = " a" * 48
"""Stands for what is typed next: where the window moves with it, the moved one is evaluated now."""
_FEWEST_SEQUENCES = 3
"""With fewer there may be none to evaluate a choice of snippets on, and the user would wait for it."""
_HEADERS = 32
"""Tokens of the snippets' share that repository name and current path may take."""
_CHARS_PER_TOKEN = 2.8
"""Characters of a snippet to a token, on the safe side: what does not fit is left out in the end."""


@frozen
class PromptBase:
    """What all prompts of a document are built on, so that they begin alike."""

    anchor: Anchor
    completion: CompletionSettings = field(repr=False)
    """The settings that the snippets were chosen under; others may forbid one of them."""
    snippets: tuple[Snippet, ...] = ()

    def snippets_under(self, settings: Settings) -> tuple[Snippet, ...]:
        """The snippets, or none if they might not have been chosen today."""
        same = self.completion == settings.completion and self.anchor.settings == settings.prompt
        return self.snippets if same else ()


@frozen
class PlannedPrefill:
    """A prompt that will be asked for."""

    prompt: Prompt
    basis: PromptBase | None = None
    """What to build on once it is evaluated."""


@frozen
class Prompts:
    """Builds prompts for one loaded model."""

    engine: Engine = field(repr=False)
    chosen: ChosenTemplate
    neighbours: OpenDocuments = field(factory=OpenDocuments, repr=False)
    bases: LRUCache[str, PromptBase] = field(factory=lambda: LRUCache(_BASES), repr=False)
    """By document; they outlive a model, so that one loaded again finds the prompts that it knows."""

    def current(self, request: CompletionRequest, settings: Settings) -> Prompt:
        """The prompt for a cursor; its document's anchor stays or moves on, its snippets stay."""
        settings = self._decided(settings)
        before = self.bases.get(request.document.uri)
        last = before.anchor if before else None
        anchor = next_anchor(last, request, self.chosen.template, settings.prompt)
        snippets = before.snippets_under(settings) if before else ()
        basis = PromptBase(anchor, settings.completion, () if self._without_snippets(settings) else snippets)
        self.adopt(basis)
        return self._build(request, settings, basis)

    def ahead(self, request: CompletionRequest, settings: Settings) -> Iterator[PlannedPrefill]:
        """What will be asked for when the user goes on from a cursor whose prompt was just built."""
        settings = self._decided(settings)
        before = self.bases.get(request.document.uri)
        if before is None:
            return
        basis = evolve(before, snippets=self._choose(request, settings, before.snippets))
        if self._grows(settings) and is_ageing(before.anchor, request):
            anchor = next_anchor(None, request, self.chosen.template, settings.prompt)
            basis = evolve(basis, anchor=anchor)
        if basis != before:
            yield PlannedPrefill(self._build(request, settings, basis), basis)
        if not self._grows(settings):
            return
        now = self._build(request, settings, basis)
        typed = evolve(request, selected_text=request.selected_text + _AHEAD)
        then = self._build(typed, settings, basis)
        moved = evolve(then, tail=then.tail.removesuffix(_AHEAD))
        if then.tail.endswith(_AHEAD) and (moved.head != now.head or moved.tail != now.tail):
            yield PlannedPrefill(moved)

    def opening(self, document: DocumentSnapshot, settings: Settings) -> Iterator[PlannedPrefill]:
        """What every prompt near the top of a document begins with; nothing where the suffix comes first.

        Nobody knows yet where the cursor will be.
        """
        settings = self._decided(settings)
        template = self.chosen.template
        if template is not None and template.order != "psm":
            return
        chars = int(settings.prompt.max_tokens * settings.prompt.prefix_share * CHARS_PER_TOKEN)
        top = evolve(document, text=document.text[:chars])
        request = CompletionRequest(top, len(top.text))
        anchor = next_anchor(None, request, template, settings.prompt)
        prompt = self._build(request, settings, PromptBase(anchor, settings.completion))
        yield PlannedPrefill(evolve(prompt, location=""))

    def adopt(self, basis: PromptBase) -> None:
        """Build on this from now on."""
        self.bases[basis.anchor.uri] = basis

    def forget(self, uri: str) -> None:
        """A document was closed."""
        self.bases.pop(uri, None)

    def sampling(self, request: CompletionRequest, settings: Settings) -> SamplingParams:
        """How tokens are drawn for a request: one by hand may have more of them."""
        sampling = settings.sampling
        invoked = request.trigger is Trigger.INVOKED
        return SamplingParams(
            max_tokens=sampling.invoked_max_tokens if invoked else sampling.max_tokens,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            seed=sampling.seed,
            end_bias=end_bias(self.engine.info) if sampling.end_bias is None else sampling.end_bias,
        )

    def _decided(self, settings: Settings) -> Settings:
        return evolve(settings, prompt=decided(settings.prompt, self.engine.info))

    def _choose(
        self, request: CompletionRequest, settings: Settings, current: tuple[Snippet, ...]
    ) -> tuple[Snippet, ...]:
        """The best snippets for a cursor as things stand now; the current ones where they still are."""
        if self._without_snippets(settings):
            return ()
        document, prompt = request.document, settings.prompt
        neighbours = self.neighbours.of(document, settings.completion)
        if not neighbours:
            return ()
        imported = outline(document.language_id, document.text).imported
        tokens = int(self._room(request, settings) * prompt.snippet_share) - _HEADERS
        return choose(
            SnippetQuery.of(request, prompt.max_tokens, imported),
            neighbours,
            current,
            most=prompt.max_snippets,
            chars=int(tokens * _CHARS_PER_TOKEN),
        )

    def _without_snippets(self, settings: Settings) -> str:
        """Why prompts show nothing of other files; empty where they do."""
        prompt = settings.prompt
        if prompt.snippets == "off" or not prompt.snippet_share or not prompt.max_snippets:
            return "off by the settings"
        if settings.model.sequences < _FEWEST_SEQUENCES:
            return f"off: model.sequences is below {_FEWEST_SEQUENCES}"
        template, tokenizer = self.chosen.template, self.engine.tokenizer
        if prompt.snippets == "auto" and not knows_repositories(template, tokenizer, self.engine.info):
            return "off: the model was not trained to read other files"
        return ""

    def _grows(self, settings: Settings) -> bool:
        """Whether typing lengthens the prompt's tail, so that there is anything to keep."""
        template = self.chosen.template
        anchored = settings.prompt.layout == "anchored"
        return template is None or template.order == "suffix_first" or anchored

    def _build(self, request: CompletionRequest, settings: Settings, basis: PromptBase) -> Prompt:
        place = self.neighbours.place(request.document)
        prompt = build(
            request,
            self.chosen.template,
            self.engine.tokenizer,
            settings.prompt,
            snippets=basis.snippets,
            anchor=basis.anchor,
            max_tokens=self._room(request, settings),
            path=place.path,
            repository=place.repository,
        )
        shown = ", ".join(f"{one.path} ({one.source})" for one in reversed(prompt.snippets))
        return evolve(
            prompt,
            location=f"{request.document.uri}@{basis.anchor.offset}",
            context=shown or self._without_snippets(settings) or "nothing of other files chosen yet",
        )

    def _room(self, request: CompletionRequest, settings: Settings) -> int:
        """Most tokens of a prompt, where the answer must fit into the context window too."""
        context = self.engine.info.context
        room = max(context // 2, context - self.sampling(request, settings).max_tokens - 1)
        return min(settings.prompt.max_tokens, room)


def candidates_for(request: CompletionRequest, settings: Settings) -> int:
    """How many suggestions are made for a request: several only where the user asked."""
    return settings.completion.candidates if request.trigger is Trigger.INVOKED else 1


def end_bias(info: ModelInfo) -> float:
    """What a model file says of how much too late the model ends, in nats; 0 where it says nothing of use."""
    try:
        nats = float(info.metadata.get(END_BIAS, 0.0))
    except ValueError:
        return 0.0
    return nats if 0 < nats < math.inf else 0.0
