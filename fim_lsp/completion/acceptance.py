"""What each document becomes when its last suggestion is accepted: how an acceptance is recognised.

An editor may tell of it by the command, before or after the edit, or by the edit alone.
"""

from __future__ import annotations

from attrs import evolve, frozen

from fim_lsp.settings import Settings
from fim_lsp.types import Completion, CompletionRequest, Trigger


@frozen
class ShownSuggestion:
    """A suggestion, seen from after its acceptance."""

    accepted: CompletionRequest
    """The document with the whole suggestion in it, and the cursor behind it."""
    settings: Settings
    """Those that it was made under."""

    @property
    def uri(self) -> str:
        """Of the document."""
        return self.accepted.document.uri


class ShownSuggestions:
    """The last suggestions of each document, those to choose from together; the latest of all last."""

    def __init__(self) -> None:
        self._by_uri: dict[str, tuple[ShownSuggestion, ...]] = {}

    def put(self, request: CompletionRequest, completion: Completion, settings: Settings) -> None:
        """A completion, and its others, may be shown for a request."""
        self.drop(request.document.uri)
        self._by_uri[request.document.uri] = tuple(
            ShownSuggestion(after(request, one), settings) for one in (completion, *completion.alternatives)
        )

    def drop(self, uri: str) -> None:
        """Nothing is shown there any more."""
        self._by_uri.pop(uri, None)

    def accepted_by_edit(self, uri: str, text: str | None) -> ShownSuggestion | None:
        """The offer that made a document what it now is, if one did."""
        offers = self._by_uri.get(uri, ())
        return next((offer for offer in offers if offer.accepted.document.text == text), None)

    def accepted_by_command(
        self, uri: str | None, version: int | None, candidate: int = 0
    ) -> ShownSuggestion | None:
        """The offer that a client says was accepted in the document, or in any where it names none.

        None where the document, which is at ``version`` now, has moved on by more than the acceptance, or
        where there were not so many to choose from.
        """
        offers = self._by_uri.get(next(reversed(self._by_uri), "") if uri is None else uri, ())
        if candidate >= len(offers):
            return None
        offer = offers[candidate]
        moved_on = version is not None and version > offer.accepted.document.version + 1
        return None if moved_on else offer


def after(request: CompletionRequest, completion: Completion) -> CompletionRequest:
    """The request that follows when a completion is accepted."""
    text, offset = request.document.text, request.offset
    accepted = text[:offset] + completion.text
    document = evolve(request.document, text=accepted + text[offset + completion.replace_suffix_chars :])
    return evolve(
        request, document=document, offset=len(accepted), selected_text="", trigger=Trigger.AUTOMATIC
    )
