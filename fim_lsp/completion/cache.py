"""Suggestions seen so far: typing through one, or backspacing into one, costs nothing.

A suggestion is remembered with the text around the cursor it was made for. It answers any later cursor
that is reached by typing the suggestion's own beginning, brackets closed by the editor included.
"""

from __future__ import annotations

from attrs import evolve, field, frozen
from cachetools import LRUCache

from fim_lsp.completion.explain import Explanation
from fim_lsp.prompt.anchor import is_same_suffix
from fim_lsp.types import AppliedAdapter, CompletionRequest, Trigger

_WINDOW = 4096
"""Characters compared on each side; holding whole documents would cost 5 MB a suggestion in a large one."""


@frozen
class CursorSnapshot:
    """A cursor and the text near it, as they were at one moment."""

    uri: str
    offset: int
    before: str = field(repr=False)
    after: str = field(repr=False)
    language_id: str = ""

    @classmethod
    def of(cls, request: CompletionRequest) -> CursorSnapshot:
        """Take the snapshot of a request; what the popup would insert counts as typed."""
        text, offset = request.document.text, request.offset
        return cls(
            request.document.uri,
            offset + len(request.selected_text),
            text[max(0, offset - _WINDOW) : offset] + request.selected_text,
            text[offset : offset + _WINDOW],
            request.document.language_id,
        )


def typed_since(then: CursorSnapshot, now: CursorSnapshot) -> str | None:
    r"""Return the text typed between two snapshots; None if anything else happened between.

    Line breaks are ``\n`` in it, as in suggestions, whatever the document uses.

    Example: from ``x = |`` to ``x = fo|`` it is ``fo``.
    """
    count = now.offset - then.offset
    if (then.uri, then.language_id) != (now.uri, now.language_id) or not 0 <= count < len(now.before) + 1:
        return None
    kept, typed = now.before[: len(now.before) - count], now.before[len(now.before) - count :]
    # The windows slide with the cursor: compare what both of them hold.
    shared = min(len(kept), len(then.before))
    if kept[len(kept) - shared :] != then.before[len(then.before) - shared :]:
        return None
    typed_lines = typed.replace("\r\n", "\n")
    return typed_lines if is_same_suffix(typed, now.after, then.after) else None


@frozen
class ScoredToken:
    """A token of a suggestion's text, and how sure the model was of it."""

    end: int
    """Position behind the token in the text."""
    probability: float
    entropy: float
    """Of the distribution that it was drawn from, in nats."""


@frozen
class Suggestion:
    """The text of the model at one cursor, after the stop rules and before the filters."""

    text: str
    confidence: float = 1.0
    """Mean probability of the tokens, 0 to 1."""
    tokens: tuple[ScoredToken, ...] = field(default=(), repr=False)
    """The tokens of the text, in order; some may be missing at its beginning."""
    end_probability: float = 0.0
    """Probability of the token with which the model ended the text itself; 0 where a stop rule ended it."""
    trigger: Trigger = Trigger.AUTOMATIC
    adapters: tuple[AppliedAdapter, ...] = ()
    """Those that it was made under; under others it is of no use."""
    explanation: Explanation = field(factory=Explanation, repr=False)
    """The explanation of its generation."""
    alternatives: tuple[Suggestion, ...] = field(default=(), repr=False)
    """Other suggestions for the same cursor, likeliest first; none of them has alternatives itself."""

    @property
    def all(self) -> tuple[Suggestion, ...]:
        """This one and the alternatives."""
        return (evolve(self, alternatives=()), *self.alternatives)

    def after(self, typed: str) -> Suggestion | None:
        """Return the part that is left once ``typed`` is typed; None if there is none.

        Example: of ``foo(x)`` after ``fo`` it is ``o(x)``, after ``bar`` None.
        """
        left = [
            each._without(len(typed))
            for each in self.all
            if each.text.startswith(typed) and (typed != each.text or not typed)
        ]
        return evolve(left[0], alternatives=tuple(left[1:])) if left else None

    def continued_by(self, rest: str) -> Suggestion:
        """Return the suggestion for where the text before its ``rest`` is accepted."""
        start = self.text.rfind(rest)
        remaining = self._without(start) if start >= 0 else evolve(self, tokens=())
        return evolve(remaining, text=rest, alternatives=())

    def _without(self, typed_chars: int) -> Suggestion:
        """Return the suggestion without its first characters, and without their tokens."""
        tokens = tuple(
            evolve(token, end=token.end - typed_chars) for token in self.tokens if token.end > typed_chars
        )
        return evolve(self, text=self.text[typed_chars:], tokens=tokens)


class SuggestionCache:
    """The most recent suggestions of all documents."""

    def __init__(self, size: int) -> None:
        self._entries: LRUCache[CursorSnapshot, Suggestion] = LRUCache(maxsize=max(size, 0))

    def clear(self) -> None:
        """Forget all suggestions."""
        self._entries.clear()

    def put(self, cursor: CursorSnapshot, suggestion: Suggestion) -> None:
        """Remember a suggestion, an empty one too: then nothing is shown there."""
        if self._entries.maxsize:
            self._entries[cursor] = suggestion

    def find(
        self, request: CompletionRequest, adapters: tuple[AppliedAdapter, ...] = ()
    ) -> Suggestion | None:
        """Return the part that is not typed yet of a suggestion that still fits.

        A suggestion made while typing does not answer an invoked request, which asks for more.
        """
        now = CursorSnapshot.of(request)
        # Newest first: the latest text was made from the latest context.
        for then in reversed(list(self._entries)):
            suggestion = self._entries.get(then)
            if suggestion is None or (request.trigger is Trigger.INVOKED is not suggestion.trigger):
                continue
            if suggestion.adapters != adapters:
                continue
            # A line break may be two characters in the document.
            longest = max(len(each.text) + each.text.count("\n") for each in suggestion.all)
            typed = typed_since(then, now) if now.offset - then.offset <= longest else None
            if typed is not None and (left := suggestion.after(typed)) is not None:
                return left
        return None
