"""Suggestions seen so far: typing through one, or backspacing into one, costs nothing.

A suggestion is remembered with the text around the cursor it was made for. It answers any later cursor
that is reached by typing the suggestion's own beginning, brackets closed by the editor included.
"""

from __future__ import annotations

from attrs import evolve, field, frozen
from cachetools import LRUCache

from fim_lsp.prompt.anchor import suffix_agrees
from fim_lsp.types import AppliedAdapter, CompletionRequest, Timings, Trigger

_WINDOW = 4096
"""Characters compared on each side; holding whole documents would cost 5 MB a suggestion in a large one."""


@frozen
class CursorSnapshot:
    """A cursor and the text near it."""

    uri: str
    offset: int
    before: str = field(repr=False)
    after: str = field(repr=False)

    @classmethod
    def of(cls, request: CompletionRequest) -> CursorSnapshot:
        """The surroundings of a request; what the popup would insert counts as typed."""
        text, offset = request.document.text, request.offset
        return cls(
            request.document.uri,
            offset + len(request.selected_text),
            text[max(0, offset - _WINDOW) : offset] + request.selected_text,
            text[offset : offset + _WINDOW],
        )


def typed_since(then: CursorSnapshot, now: CursorSnapshot) -> str | None:
    """What was typed to come from ``then`` to ``now``; None if anything else happened between."""
    count = now.offset - then.offset
    if then.uri != now.uri or not 0 <= count < len(now.before) + 1:
        return None
    kept, typed = now.before[: len(now.before) - count], now.before[len(now.before) - count :]
    # The windows slide with the cursor: compare what both of them hold.
    shared = min(len(kept), len(then.before))
    if kept[len(kept) - shared :] != then.before[len(then.before) - shared :]:
        return None
    return typed if suffix_agrees(typed, now.after, then.after) else None


@frozen
class Suggestion:
    """What the model said at one cursor, after the stop rules and before the filters."""

    text: str
    confidence: float = 1.0
    trigger: Trigger = Trigger.AUTOMATIC
    ended_by: str = ""
    """The stop rule that ended it, or how the model ended it itself."""
    timings: Timings = field(factory=Timings)
    adapters: tuple[AppliedAdapter, ...] = ()
    """Those that it was made under; under others it is of no use."""
    echo: str = field(default="", repr=False)
    """What it said before, which stood around the cursor already, so that it was asked again."""
    alternatives: tuple[Suggestion, ...] = field(default=(), repr=False)
    """What the model said besides, likeliest first; none of them has others itself."""

    @property
    def all(self) -> tuple[Suggestion, ...]:
        """This one and the others."""
        return (evolve(self, alternatives=()), *self.alternatives)

    def after(self, typed: str) -> Suggestion | None:
        """What is left of it once ``typed`` is typed; None if that is nothing, or something else was said."""
        left = [
            evolve(one, text=one.text[len(typed) :])
            for one in self.all
            if one.text.startswith(typed) and (typed != one.text or not typed)
        ]
        return evolve(left[0], alternatives=tuple(left[1:])) if left else None


class SuggestionCache:
    """The most recent suggestions of all documents."""

    def __init__(self, size: int) -> None:
        self._entries: LRUCache[CursorSnapshot, Suggestion] = LRUCache(maxsize=max(size, 0))

    def put(self, where: CursorSnapshot, suggestion: Suggestion) -> None:
        """Remember a suggestion, the empty one too: there is nothing to offer there."""
        if self._entries.maxsize:
            self._entries[where] = suggestion

    def find(
        self, request: CompletionRequest, adapters: tuple[AppliedAdapter, ...] = ()
    ) -> Suggestion | None:
        """What is not typed yet of a suggestion that still fits.

        A suggestion made while typing does not answer an invoked request, which asks for more.
        """
        now = CursorSnapshot.of(request)
        # Newest first: the latest text was made from the latest context.
        for then in reversed(list(self._entries)):
            known = self._entries.get(then)
            if known is None or (request.trigger is Trigger.INVOKED is not known.trigger):
                continue
            if known.adapters != adapters:
                continue
            longest = max(len(one.text) for one in known.all)
            typed = typed_since(then, now) if now.offset - then.offset <= longest else None
            if typed is not None and (left := known.after(typed)) is not None:
                return left
        return None

    def clear(self) -> None:
        """Forget everything, for instance because the model changed."""
        self._entries.clear()
