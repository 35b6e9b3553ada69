"""Build the prompts of all open documents, each on a prompt base that stays as long as it serves.

Moving an anchor or a window, or exchanging the snippets of other files, costs the user an evaluation of the
whole prompt. It can be foreseen, so the next prompts are evaluated before they are needed, in a sequence of
the KV cache that no document is using; snippets are exchanged in no other way.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence

from attrs import evolve, field, frozen
from cachetools import LRUCache

from fim_lsp.code.outline import outline
from fim_lsp.completion.open_documents import OpenDocuments, Related, no_related
from fim_lsp.engine.base import Engine
from fim_lsp.gguf_keys import END_BIAS
from fim_lsp.prompt.anchor import Anchor, explain_layout, next_anchor, resolve_layout, should_renew
from fim_lsp.prompt.builder import build
from fim_lsp.prompt.repository import knows_repositories
from fim_lsp.prompt.snippets import SnippetQuery, choose, snippet_chars
from fim_lsp.prompt.templates import ChosenTemplate
from fim_lsp.prompt.window import CHARS_PER_TOKEN, typed_text
from fim_lsp.settings import SHORTEST_PROMPT, CompletionSettings, PromptSettings, Settings
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
_TOLERANCE = 1.1
"""Times the tokens of a short prompt that a long one may evaluate before the short one takes its place."""
_SHORT_MIDDLE = 0.25
"""Part of a short prompt that is reserved for typed text."""
_FAR = 12
"""Times the tokens of a short prompt. A whole prompt of more is not evaluated in most pauses: one in between,
of the geometric mean of both, comes first."""
_FEWEST_SEQUENCES = 3
"""Sequences of the KV cache: with fewer, a choice of snippets is evaluated while the user waits."""


@frozen
class PromptBase:
    """The anchor and snippets that all prompts of a document are built on, so that they begin alike."""

    anchor: Anchor
    completion: CompletionSettings = field(repr=False)
    """The settings that the snippets were chosen under; others may forbid one of them."""
    snippets: tuple[Snippet, ...] = ()
    longer: Anchor | None = None
    """For a short prompt, the anchor of the longer one that is evaluated next, while nobody waits."""

    def snippets_under(self, settings: Settings) -> tuple[Snippet, ...]:
        """Return the snippets, or none if these settings might not have chosen them."""
        built_for = self.longer.settings if self.longer is not None else self.anchor.settings
        same = self.completion == settings.completion and _is_shortened(built_for, settings.prompt)
        return self.snippets if same else ()


@frozen
class PlannedPrefill:
    """A prompt that will be needed."""

    prompt: Prompt
    base: PromptBase | None = None
    """The prompt base to adopt once the prompt is evaluated."""
    for_next_key: bool = False
    """True if the next key at the cursor needs it; False for prompts of later keys."""


@frozen
class Prompts:
    """Builds the prompts for one loaded model."""

    engine: Engine = field(repr=False)
    chosen: ChosenTemplate
    documents: OpenDocuments = field(factory=OpenDocuments, repr=False)
    related: Related = no_related
    """Returns files that no editor opened, of which prompts may show snippets too."""
    bases: LRUCache[str, PromptBase] = field(factory=lambda: LRUCache(_BASES), repr=False)
    """By document; they outlive a model, so that the prompts of one that is loaded again stay the same."""

    def current(
        self, request: CompletionRequest, settings: Settings, cold_tokens: int | None = None
    ) -> Prompt:
        """Build the prompt for a cursor; its document's anchor stays or moves on, its snippets stay.

        Args:
            request: the cursor.
            settings: budgets and layout.
            cold_tokens: the tokens that this machine evaluates in ``prompt.coldMs``; None for no limit. The
                prompt then allows about as many: where more are missing, :meth:`shortened` takes its place.
        """
        decided = self._decided(settings)
        base = self._next_base(request, decided)
        self.adopt(base)
        prompt = self._limited(self._build(request, decided, base), decided, cold_tokens)
        return self._explained(prompt, base, settings)

    def current_with(
        self, request: CompletionRequest, settings: Settings, snippets: Sequence[Snippet]
    ) -> Prompt:
        """Build the prompt for a cursor with snippets that the client chose itself, the best last."""
        decided = self._decided(settings)
        given = () if self._without_snippets(decided) else tuple(snippets)
        base = evolve(self._next_base(request, decided), snippets=given)
        self.adopt(base)
        return self._build(request, decided, base)

    def shortened(self, request: CompletionRequest, settings: Settings, cold_tokens: int) -> Prompt:
        """Build a short prompt for a cursor, of which all tokens may be evaluated while the user waits."""
        decided = self._decided(settings)
        base = self._short_base(request, decided, cold_tokens)
        self.adopt(base)
        return self._explained(self._build(request, decided, base), base, settings)

    def plan_next(self, request: CompletionRequest, settings: Settings) -> Iterator[PlannedPrefill]:
        """Plan the prompts for when the user types on at a cursor whose prompt was just built."""
        settings = self._decided(settings)
        former = self.bases.get(request.document.uri)
        if former is None:
            return
        base = evolve(former, snippets=self._choose(request, settings, former.snippets))
        if former.longer is not None:
            longer = self._longer_anchor(former.anchor.settings.max_tokens, former.longer, request, settings)
            self.adopt(evolve(former, longer=longer))
            while longer.settings != settings.prompt:
                anchor = longer
                longer = self._longer_anchor(anchor.settings.max_tokens, anchor, request, settings)
                between = evolve(base, anchor=anchor, snippets=(), longer=longer)
                yield PlannedPrefill(self._build(request, settings, between), between)
            base = evolve(base, anchor=longer, longer=None)
        elif self._grows(settings) and should_renew(former.anchor, request):
            anchor = next_anchor(None, request, self.chosen.template, settings.prompt)
            base = evolve(base, anchor=anchor)
        if base != former:
            yield PlannedPrefill(self._build(request, settings, base), base)
        if not self._grows(settings):
            return
        now = self._build(request, settings, base)
        typed = _after_typing(request, _TYPED_NEXT)
        then = self._build(typed, settings, base)
        # A location of its own, so that it does not take the sequence of the prompt that serves until then.
        moved = evolve(then, tail=then.tail.removesuffix(_TYPED_NEXT), location=f"{then.location}+")
        if then.tail.endswith(_TYPED_NEXT) and (moved.head != now.head or moved.tail != now.tail):
            yield PlannedPrefill(moved)

    def plan_at_rest(
        self, request: CompletionRequest, settings: Settings, cold_tokens: int | None = None
    ) -> Iterator[PlannedPrefill]:
        """Plan the prompt of the first key where the cursor rests, and then the next ones.

        A short one comes first where the long one takes time, because the key may come at any moment.
        """
        decided = self._decided(settings)
        base = self._next_base(request, decided)
        prompt = self._limited(self._build(request, decided, base), decided, cold_tokens)
        yield PlannedPrefill(prompt, base, for_next_key=True)
        if self.bases.get(request.document.uri) != base and prompt.max_pending:
            short = self._short_base(request, decided, cold_tokens or 0)
            yield PlannedPrefill(self._build(request, decided, short), short, for_next_key=True)
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

    def forget_files(self, paths: Collection[str]) -> None:
        """Drop the snippets of files that must not be shown any more, before the next pause."""
        for uri, base in tuple(self.bases.items()):
            kept = tuple(snippet for snippet in base.snippets if snippet.path not in paths)
            if len(kept) < len(base.snippets):
                self.bases[uri] = evolve(base, snippets=kept)

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
        prompt = resolve_layout(settings.prompt, self.engine.info, self.chosen.template)
        return evolve(settings, prompt=prompt)

    def _explained(self, prompt: Prompt, base: PromptBase, settings: Settings) -> Prompt:
        """Return the prompt with the reasons for its layout and its length."""
        layout = explain_layout(settings.prompt, self.engine.info, self.chosen.template)
        return evolve(prompt, layout=layout, length=_explain_length(base, settings.prompt.max_tokens))

    def _next_base(self, request: CompletionRequest, settings: Settings) -> PromptBase:
        """Return the document's base with an anchor that serves the cursor: the same one, or a new one."""
        former = self.bases.get(request.document.uri)
        snippets = former.snippets_under(settings) if former else ()
        snippets = () if self._without_snippets(settings) else snippets
        template = self.chosen.template
        if (
            former is not None
            and former.longer is not None
            and _is_shortened(former.longer.settings, settings.prompt)
        ):
            if next_anchor(former.anchor, request, template, former.anchor.settings) is former.anchor:
                return evolve(former, completion=settings.completion, snippets=snippets)
            anchor = next_anchor(former.longer, request, template, settings.prompt)
        else:
            anchor = next_anchor(former.anchor if former else None, request, template, settings.prompt)
        return PromptBase(anchor, settings.completion, snippets)

    def _limited(self, prompt: Prompt, settings: Settings, cold_tokens: int | None) -> Prompt:
        """Return a prompt that allows no more pending tokens than a short one has.

        A short prompt too: it may have lost its place in the cache. One whose suffix each key evaluates again
        has no limit, as it would never be evaluated to its end.
        """
        if cold_tokens is None or not self._keeps(settings):
            return prompt
        tokens = max(cold_tokens, SHORTEST_PROMPT)
        if tokens >= settings.prompt.max_tokens:
            return prompt
        return evolve(prompt, max_pending=int(tokens * _TOLERANCE))

    def _short_base(self, request: CompletionRequest, settings: Settings, cold_tokens: int) -> PromptBase:
        """Return a base of a short prompt, beside which the long one can be evaluated."""
        former = self.bases.get(request.document.uri)
        longer = former.longer or former.anchor if former else None
        tokens = max(cold_tokens, SHORTEST_PROMPT)
        return PromptBase(
            next_anchor(None, request, self.chosen.template, _shorten(settings.prompt, request, tokens)),
            settings.completion,
            longer=self._longer_anchor(tokens, longer, request, settings),
        )

    def _longer_anchor(
        self, tokens: int, former: Anchor | None, request: CompletionRequest, settings: Settings
    ) -> Anchor:
        """Return the anchor of the prompt to evaluate after one of so many tokens.

        It is the whole prompt's, or that of one in between.

        The former anchor stays while it serves, so that an interrupted prefill goes on.
        """
        whole, template = settings.prompt, self.chosen.template
        if tokens * _FAR >= whole.max_tokens:
            return next_anchor(former, request, template, whole)
        between = _shorten(whole, request, round(math.sqrt(tokens * whole.max_tokens)))
        if former is not None and former.settings.max_tokens == between.max_tokens:
            # Its middle was measured for another cursor's line.
            between = former.settings if _is_shortened(former.settings, whole) else between
        return next_anchor(former, request, template, between)

    def _choose(
        self, request: CompletionRequest, settings: Settings, current: tuple[Snippet, ...]
    ) -> tuple[Snippet, ...]:
        """Choose the best snippets for a cursor now; the current ones where they still are."""
        if self._without_snippets(settings):
            return ()
        document, prompt = request.document, settings.prompt
        others = (*self.documents.others(document, settings.completion), *self.related(document))
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

    def keeps(self, settings: Settings) -> bool:
        """Tell whether a key leaves most of the evaluated prompt as it is."""
        return self._keeps(self._decided(settings))

    def reads_snippets(self, settings: Settings) -> bool:
        """Tell whether prompts hold snippets of other files."""
        return not self._without_snippets(settings)

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

    def _keeps(self, settings: Settings) -> bool:
        """Tell whether a key leaves most of the evaluated prompt as it is."""
        template = self.chosen.template
        return self._grows(settings) or (template is not None and template.order == "spm")

    def _build(self, request: CompletionRequest, settings: Settings, base: PromptBase) -> Prompt:
        location = self.documents.locate(request.document)
        prompt = build(
            request,
            self.chosen.template,
            self.engine.tokenizer,
            base.anchor.settings if base.longer is not None else settings.prompt,
            snippets=base.snippets,
            anchor=base.anchor,
            max_tokens=self._room(request, settings),
            path=location.path,
            repository=location.repository,
            steady=base.longer is not None,
        )
        chosen = ", ".join(f"{snippet.path} ({snippet.source})" for snippet in reversed(prompt.snippets))
        return evolve(
            prompt,
            location=f"{request.document.uri}@{base.anchor.offset}/{base.anchor.settings.max_tokens}",
            snippet_reason=chosen or self._without_snippets(settings) or "none of other files chosen yet",
        )

    def _room(self, request: CompletionRequest, settings: Settings) -> int:
        """Return the most tokens of a prompt, where the answer must fit into the context window too."""
        context = self.engine.info.context
        room = max(context // 2, context - self.sampling(request, settings).max_tokens - 1)
        return min(settings.prompt.max_tokens, room)


def _after_typing(request: CompletionRequest, text: str) -> CompletionRequest:
    """Return the request once ``text`` is typed behind what the popup would insert.

    The text is put into the document once: selected text would be put there each time that it is looked at.
    """
    whole, cursor = typed_text(request)
    document = evolve(request.document, text="".join((whole[:cursor], text, whole[cursor:])))
    return evolve(request, document=document, offset=cursor + len(text), selected_text="", line=None)


def _shorten(prompt: PromptSettings, request: CompletionRequest, tokens: int) -> PromptSettings:
    """Return the settings of a prompt of fewer tokens for a cursor."""
    # Behind what stands on the cursor's line already.
    typed = len(request.line_prefix) + int(tokens * _SHORT_MIDDLE * CHARS_PER_TOKEN)
    return evolve(prompt, max_tokens=tokens, max_middle_chars=min(prompt.max_middle_chars, typed))


def _is_shortened(prompt: PromptSettings, whole: PromptSettings) -> bool:
    """Tell whether these are the settings of a whole prompt, or made of them by :func:`_shorten`."""
    return whole == evolve(prompt, max_tokens=whole.max_tokens, max_middle_chars=whole.max_middle_chars)


def _explain_length(base: PromptBase, whole: int) -> str:
    """Return why a prompt is shorter than ``whole`` tokens, in a line; empty if it is not."""
    if base.longer is None:
        return ""
    short = base.anchor.settings.max_tokens
    return f"{short} of {whole} tokens, as more would take longer than prompt.coldMs; the rest follows"


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
