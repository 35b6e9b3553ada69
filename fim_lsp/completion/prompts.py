"""The prompts of all open documents, each on an anchor that stays as long as it serves; and those to come.

What moves an anchor or a window costs the user an evaluation of the whole prompt. Both can be seen coming, so
the prompts that will be asked for then are evaluated before, on a sequence that nobody is in.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve, field, frozen
from cachetools import LRUCache

from fim_lsp.engine.base import Engine
from fim_lsp.prompt.anchor import Anchor, is_ageing, next_anchor
from fim_lsp.prompt.builder import build
from fim_lsp.prompt.templates import ChosenTemplate
from fim_lsp.prompt.window import CHARS_PER_TOKEN
from fim_lsp.settings import Settings
from fim_lsp.types import CompletionRequest, DocumentSnapshot, Prompt, SamplingParams, Trigger

_ANCHORS = 64
_AHEAD = " a" * 48
"""Stands for what is typed next: where the window moves with it, the moved one is evaluated now."""


@frozen
class Preparation:
    """A prompt that will be asked for."""

    prompt: Prompt
    anchor: Anchor | None = None
    """What to build on once it is evaluated."""


@frozen
class Prompts:
    """Builds prompts for one loaded model."""

    engine: Engine = field(repr=False)
    chosen: ChosenTemplate
    _anchors: LRUCache[str, Anchor] = field(factory=lambda: LRUCache(_ANCHORS), repr=False)

    def current(self, request: CompletionRequest, settings: Settings) -> Prompt:
        """The prompt for a cursor; its document's anchor stays or moves on."""
        uri = request.document.uri
        anchor = next_anchor(self._anchors.get(uri), request, self.chosen.template, settings.prompt)
        self._anchors[uri] = anchor
        return self._build(request, settings, anchor)

    def ahead(self, request: CompletionRequest, settings: Settings) -> Iterator[Preparation]:
        """What will be asked for when the user goes on from a cursor whose prompt was just built."""
        anchor = self._anchors.get(request.document.uri)
        if anchor is None or not self._grows(settings):
            return
        if is_ageing(anchor, request):
            anchor = next_anchor(None, request, self.chosen.template, settings.prompt)
            yield Preparation(self._build(request, settings, anchor), anchor)
        now = self._build(request, settings, anchor)
        typed = evolve(request, selected_text=request.selected_text + _AHEAD)
        then = self._build(typed, settings, anchor)
        moved = evolve(then, tail=then.tail.removesuffix(_AHEAD))
        if then.tail.endswith(_AHEAD) and (moved.head != now.head or moved.tail != now.tail):
            yield Preparation(moved)

    def opening(self, document: DocumentSnapshot, settings: Settings) -> Iterator[Preparation]:
        """What every prompt near the top of a document begins with; nothing where the suffix comes first.

        Nobody knows yet where the cursor will be.
        """
        template = self.chosen.template
        if template is not None and template.order != "psm":
            return
        chars = int(settings.prompt.max_tokens * settings.prompt.prefix_share * CHARS_PER_TOKEN)
        top = evolve(document, text=document.text[:chars])
        request = CompletionRequest(top, len(top.text))
        anchor = next_anchor(None, request, template, settings.prompt)
        yield Preparation(evolve(self._build(request, settings, anchor), place=""))

    def adopt(self, anchor: Anchor) -> None:
        """Build on this anchor from now on."""
        self._anchors[anchor.uri] = anchor

    def forget(self, uri: str) -> None:
        """A document was closed."""
        self._anchors.pop(uri, None)

    def _grows(self, settings: Settings) -> bool:
        """Whether typing lengthens the prompt's tail, so that there is anything to keep."""
        template = self.chosen.template
        anchored = settings.prompt.layout == "anchored"
        return template is None or template.order == "suffix_first" or anchored

    def _build(self, request: CompletionRequest, settings: Settings, anchor: Anchor) -> Prompt:
        context = self.engine.info.context
        room = max(context // 2, context - sampling_for(request, settings).max_tokens - 1)
        prompt = build(
            request,
            self.chosen.template,
            self.engine.tokenizer,
            settings.prompt,
            anchor=anchor,
            max_tokens=min(settings.prompt.max_tokens, room),
        )
        return evolve(prompt, place=f"{request.document.uri}@{anchor.offset}")


def candidates_for(request: CompletionRequest, settings: Settings) -> int:
    """How many suggestions are made for a request: several only where the user asked."""
    return settings.completion.candidates if request.trigger is Trigger.INVOKED else 1


def sampling_for(request: CompletionRequest, settings: Settings) -> SamplingParams:
    """How tokens are drawn for a request: one by hand may have more of them."""
    sampling = settings.sampling
    invoked = request.trigger is Trigger.INVOKED
    return SamplingParams(
        max_tokens=sampling.invoked_max_tokens if invoked else sampling.max_tokens,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        seed=sampling.seed,
    )
