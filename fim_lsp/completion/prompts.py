"""Build the prompts of all open documents, each on a prompt base that stays as long as it serves.

Moving an anchor or a window, or exchanging the snippets of other files, costs the user an evaluation of the
whole prompt. It can be foreseen, so the next prompts are evaluated before they are needed, in a sequence of
the KV cache that no document is using; snippets are exchanged in no other way.
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
from fim_lsp.prompt.anchor import Anchor, next_anchor, resolve_layout, should_renew
from fim_lsp.prompt.builder import build
from fim_lsp.prompt.repository import knows_repositories
from fim_lsp.prompt.snippets import SnippetQuery, choose, snippet_chars
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
_TYPED_NEXT = " a" * 48
"""Stands for the next text that is typed: where the window moves with it, the moved one is evaluated now."""
_FEWEST_SEQUENCES = 3
"""Sequences of the KV cache: with fewer, a choice of snippets is evaluated while the user waits."""


@frozen
class PromptBase:
    """The anchor and snippets that all prompts of a document are built on, so that they begin alike."""

    anchor: Anchor
    completion: CompletionSettings = field(repr=False)
    """The settings that the snippets were chosen under; others may forbid one of them."""
    snippets: tuple[Snippet, ...] = ()

    def snippets_under(self, settings: Settings) -> tuple[Snippet, ...]:
        """Return the snippets, or none if these settings might not have chosen them."""
        same = self.completion == settings.completion and self.anchor.settings == settings.prompt
        return self.snippets if same else ()


@frozen
class PlannedPrefill:
    """A prompt that will be needed."""

    prompt: Prompt
    base: PromptBase | None = None
    """The prompt base to adopt once the prompt is evaluated."""


@frozen
class Prompts:
    """Builds the prompts for one loaded model."""

    engine: Engine = field(repr=False)
    chosen: ChosenTemplate
    documents: OpenDocuments = field(factory=OpenDocuments, repr=False)
    bases: LRUCache[str, PromptBase] = field(factory=lambda: LRUCache(_BASES), repr=False)
    """By document; they outlive a model, so that the prompts of one that is loaded again stay the same."""

    def current(self, request: CompletionRequest, settings: Settings) -> Prompt:
        """Build the prompt for a cursor; its document's anchor stays or moves on, its snippets stay."""
        settings = self._decided(settings)
        former = self.bases.get(request.document.uri)
        last = former.anchor if former else None
        anchor = next_anchor(last, request, self.chosen.template, settings.prompt)
        snippets = former.snippets_under(settings) if former else ()
        base = PromptBase(anchor, settings.completion, () if self._without_snippets(settings) else snippets)
        self.adopt(base)
        return self._build(request, settings, base)

    def plan_next(self, request: CompletionRequest, settings: Settings) -> Iterator[PlannedPrefill]:
        """Plan the prompts for when the user types on at a cursor whose prompt was just built."""
        settings = self._decided(settings)
        former = self.bases.get(request.document.uri)
        if former is None:
            return
        base = evolve(former, snippets=self._choose(request, settings, former.snippets))
        if self._grows(settings) and should_renew(former.anchor, request):
            anchor = next_anchor(None, request, self.chosen.template, settings.prompt)
            base = evolve(base, anchor=anchor)
        if base != former:
            yield PlannedPrefill(self._build(request, settings, base), base)
        if not self._grows(settings):
            return
        now = self._build(request, settings, base)
        typed = evolve(request, selected_text=request.selected_text + _TYPED_NEXT)
        then = self._build(typed, settings, base)
        moved = evolve(then, tail=then.tail.removesuffix(_TYPED_NEXT))
        if then.tail.endswith(_TYPED_NEXT) and (moved.head != now.head or moved.tail != now.tail):
            yield PlannedPrefill(moved)

    def plan_at_rest(self, request: CompletionRequest, settings: Settings) -> Iterator[PlannedPrefill]:
        """Plan the prompt of the first key where the cursor rests, and then the next ones."""
        decided = self._decided(settings)
        former = self.bases.get(request.document.uri)
        last = former.anchor if former else None
        anchor = next_anchor(last, request, self.chosen.template, decided.prompt)
        snippets = former.snippets_under(decided) if former else ()
        base = PromptBase(anchor, settings.completion, () if self._without_snippets(decided) else snippets)
        yield PlannedPrefill(self._build(request, decided, base), base)
        yield from self.plan_next(request, settings)

    def plan_opening(self, document: DocumentSnapshot, settings: Settings) -> Iterator[PlannedPrefill]:
        """Plan the beginning that all prompts near the top of a document share.

        The cursor is not known yet, so there is none where the suffix comes first.
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

    def adopt(self, base: PromptBase) -> None:
        """Build on ``base`` from now on."""
        self.bases[base.anchor.uri] = base

    def forget(self, uri: str) -> None:
        """Forget a document that was closed."""
        self.bases.pop(uri, None)

    def sampling(self, request: CompletionRequest, settings: Settings) -> SamplingParams:
        """Return how tokens are drawn for a request: an invoked one may have more of them."""
        sampling = settings.sampling
        invoked = request.trigger is Trigger.INVOKED
        return SamplingParams(
            max_tokens=sampling.invoked_max_tokens if invoked else sampling.max_tokens,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            seed=sampling.seed,
            end_bias=read_end_bias(self.engine.info) if sampling.end_bias is None else sampling.end_bias,
        )

    def _decided(self, settings: Settings) -> Settings:
        return evolve(settings, prompt=resolve_layout(settings.prompt, self.engine.info))

    def _choose(
        self, request: CompletionRequest, settings: Settings, current: tuple[Snippet, ...]
    ) -> tuple[Snippet, ...]:
        """Choose the best snippets for a cursor now; the current ones where they still are."""
        if self._without_snippets(settings):
            return ()
        document, prompt = request.document, settings.prompt
        others = self.documents.others(document, settings.completion)
        if not others:
            return ()
        imported = outline(document.language_id, document.text).imported
        return choose(
            SnippetQuery.of(request, prompt.max_tokens, imported),
            others,
            current,
            most=prompt.max_snippets,
            chars=snippet_chars(int(self._room(request, settings) * prompt.snippet_share)),
        )

    def _without_snippets(self, settings: Settings) -> str:
        """Return why prompts hold no snippets of other files; empty where they do."""
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
        """Tell whether typing lengthens the prompt's tail, so that there is anything to keep."""
        template = self.chosen.template
        anchored = settings.prompt.layout == "anchored"
        return template is None or template.order == "suffix_first" or anchored

    def _build(self, request: CompletionRequest, settings: Settings, base: PromptBase) -> Prompt:
        location = self.documents.locate(request.document)
        prompt = build(
            request,
            self.chosen.template,
            self.engine.tokenizer,
            settings.prompt,
            snippets=base.snippets,
            anchor=base.anchor,
            max_tokens=self._room(request, settings),
            path=location.path,
            repository=location.repository,
        )
        chosen = ", ".join(f"{snippet.path} ({snippet.source})" for snippet in reversed(prompt.snippets))
        return evolve(
            prompt,
            location=f"{request.document.uri}@{base.anchor.offset}",
            snippet_reason=chosen or self._without_snippets(settings) or "none of other files chosen yet",
        )

    def _room(self, request: CompletionRequest, settings: Settings) -> int:
        """Return the most tokens of a prompt, where the answer must fit into the context window too."""
        context = self.engine.info.context
        room = max(context // 2, context - self.sampling(request, settings).max_tokens - 1)
        return min(settings.prompt.max_tokens, room)


def candidates_for(request: CompletionRequest, settings: Settings) -> int:
    """Return how many suggestions to generate for a request: several only for an invoked one."""
    return settings.completion.candidates if request.trigger is Trigger.INVOKED else 1


def read_end_bias(info: ModelInfo) -> float:
    """Return the end bias that a model file names, in nats; 0 where it names none or none of use."""
    try:
        nats = float(info.metadata.get(END_BIAS, 0.0))
    except ValueError:
        return 0.0
    return nats if 0 < nats < math.inf else 0.0
