"""The suggestions shown last, and what each document becomes when one is accepted.

An editor may report an acceptance by the command, before or after the edit, or by the edit alone.
"""

from __future__ import annotations

from functools import cached_property

from attrs import evolve, field, frozen

from fim_lsp.completion.cache import CursorSnapshot, typed_since
from fim_lsp.completion.showing.refusals import SuggestedLine
from fim_lsp.settings import Settings
from fim_lsp.types import AppliedAdapter, Completion, CompletionRequest, Trigger


@frozen
class ShownSuggestion:
    """A suggestion that may be on the screen, as the request that follows its acceptance."""

    request: CompletionRequest
    completion: Completion
    settings: Settings
    adapters: tuple[AppliedAdapter, ...] = ()
    """Those that it was made under."""
    chance: float = 1.0
    """Estimated chance that it is kept."""

    @property
    def accepted(self) -> CompletionRequest:
        """The document with the whole suggestion in it, and the cursor behind it."""
        return after_accepting(self.request, self.completion)

    @cached_property
    def cursor(self) -> CursorSnapshot:
        """The place at which it is shown."""
        return CursorSnapshot.of(self.request)

    @property
    def text(self) -> str:
        """The text behind that cursor."""
        return self.completion.text[len(self.request.selected_text) :]

    @property
    def line(self) -> SuggestedLine:
        """The line that it makes."""
        return SuggestedLine.of(self.request, self.completion.text)

    def makes(self, text: str) -> bool:
        """Tell whether accepting it makes the document ``text``; without building that in most cases."""
        before, offset = self.request.document.text, self.request.offset
        inserted = _with_breaks_of(before, self.completion.text)
        grown = len(inserted) - self.completion.replace_suffix_chars
        if len(text) != len(before) + grown or not text.startswith(inserted, offset):
            return False
        return self.accepted.document.text == text


@frozen
class Following:
    """The relation of a request to the suggestion shown before it."""

    left: str = field(default="", repr=False)
    """The part of it that the user, typing along, has not typed yet."""
    typed_past: ShownSuggestion | None = None
    """The suggestion, if the user typed something else."""


class ShownSuggestions:
    """The last suggestions of each document, those to choose from together; the latest of all last."""

    def __init__(self) -> None:
        self._by_uri: dict[str, tuple[ShownSuggestion, ...]] = {}

    def put(
        self,
        request: CompletionRequest,
        completion: Completion,
        settings: Settings,
        adapters: tuple[AppliedAdapter, ...] = (),
        chance: float = 1.0,
    ) -> None:
        """Note that a completion, and its alternatives, may be shown for a request."""
        self.drop(request.document.uri)
        self._by_uri[request.document.uri] = tuple(
            ShownSuggestion(request, each, settings, adapters, chance)
            for each in (completion, *completion.alternatives)
        )

    def drop(self, uri: str) -> None:
        """Note that nothing is shown in a document any more."""
        self._by_uri.pop(uri, None)

    def last(self, uri: str | None) -> tuple[str, ShownSuggestion] | None:
        """Return the URI and the first suggestion shown in a document.

        ``uri`` is None for the document where a suggestion was shown last.
        """
        found = next(reversed(self._by_uri), "") if uri is None else uri
        shown = self._by_uri.get(found)
        return (found, shown[0]) if shown else None

    def follow(self, request: CompletionRequest, adapters: tuple[AppliedAdapter, ...] = ()) -> Following:
        """Tell what a request makes of the suggestion that is shown in its document.

        Example: once ``fo`` of ``foo(x)`` is typed, ``o(x)`` is left; with ``bar`` it was typed past.
        """
        shown = self._by_uri.get(request.document.uri)
        if not shown or request.selected_text or shown[0].adapters != adapters:
            return Following()
        typed = typed_since(shown[0].cursor, CursorSnapshot.of(request))
        if typed is None:
            return Following()
        if not shown[0].text.startswith(typed):
            return Following(typed_past=shown[0])
        return Following(shown[0].text[len(typed) :])

    def accepted_by_edit(self, uri: str, text: str | None) -> ShownSuggestion | None:
        """Return the suggestion that an edit inserted, if it inserted one.

        Args:
            uri: of the document.
            text: the document after the edit.
        """
        shown = self._by_uri.get(uri, ())
        return next((each for each in shown if text is not None and each.makes(text)), None)

    def accepted_by_command(
        self, uri: str | None, version: int | None, candidate: int = 0
    ) -> ShownSuggestion | None:
        """Return the suggestion that a client reports as accepted.

        Args:
            uri: of the document; None for the one where a suggestion was shown last.
            version: of the document now; None if it is not known.
            candidate: index of the suggestion among those to choose from.

        Returns:
            None where the document has moved on by more than the acceptance, or where there were not so many
            to choose from.
        """
        shown = self._by_uri.get(next(reversed(self._by_uri), "") if uri is None else uri, ())
        if candidate >= len(shown):
            return None
        suggestion = shown[candidate]
        moved_on = version is not None and version > suggestion.request.document.version + 1
        return None if moved_on else suggestion


def after_accepting(request: CompletionRequest, completion: Completion) -> CompletionRequest:
    """Return the request that follows when a completion is accepted.

    Example: for ``f(|)`` and the completion ``a)`` that replaces one character it is ``f(a)|``.
    """
    text, offset = request.document.text, request.offset
    inserted = _with_breaks_of(text, completion.text)
    accepted = text[:offset] + inserted
    document = evolve(request.document, text=accepted + text[offset + completion.replace_suffix_chars :])
    return evolve(
        request,
        document=document,
        offset=len(accepted),
        selected_text="",
        trigger=Trigger.AUTOMATIC,
        line=None,
    )


def _with_breaks_of(document: str, text: str) -> str:
    r"""Return ``text`` with the line breaks of a document's first line, ``\n`` or ``\r\n``."""
    end = document.find("\n")
    return text.replace("\n", "\r\n") if end > 0 and document[end - 1] == "\r" else text
