"""Events of the suggestions in one document, as values. Times are in milliseconds of any one clock."""

from __future__ import annotations

from attrs import field, frozen

_WINDOW = 4096
"""Characters compared on each side of a suggestion, as many as the suggestion cache compares."""


@frozen
class SuggestionOrigin:
    """The server, model and adapter that made a suggestion, and the language it was made for."""

    server: str
    """Version of the server."""
    model: str
    adapter: str
    """Empty without one."""
    language: str
    arm: str = ""
    """Experiment and arm that the document belongs to: ``style/plain``; empty without an experiment."""
    bucket: int = 0
    """0 to 999: documents of one bucket are in one arm."""


@frozen
class PlacedSuggestion:
    """The text of a suggestion with its place in the document. Made by :meth:`at`."""

    text: str = field(repr=False)
    offset: int
    document_chars: int
    replaced_chars: int
    """Characters after the cursor that the text itself repeats."""
    before: str = field(repr=False)
    after: str = field(repr=False)

    @classmethod
    def at(cls, document: str, offset: int, text: str, replaced_chars: int = 0) -> PlacedSuggestion:
        r"""Place a text at the cursor ``offset``, with line breaks as in the document around it.

        Example: in a document with ``\r\n`` line breaks, the text ``a\nb`` becomes ``a\r\nb``.
        """
        before, after = document[max(0, offset - _WINDOW) : offset], document[offset : offset + _WINDOW]
        if "\r\n" in before or "\r\n" in after:
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        return cls(text, offset, len(document), replaced_chars, before, after)

    def inserted_text(self, document: str) -> str | None:
        """Return the text that was inserted at this place since; None if the document changed elsewhere.

        Example: a suggestion at the end of ``x = ``, in the document ``x = 1``: ``1``.
        """
        growth = len(document) - self.document_chars
        # The text either replaced what it repeats, or was typed in front of it.
        for replaced in dict.fromkeys((self.replaced_chars, 0)):
            end = self.offset + growth + replaced
            middle = document[self.offset : max(end, self.offset)]
            if replaced and middle != self.text:
                continue
            rest = self.after[replaced:]
            before = document[max(0, self.offset - _WINDOW) : self.offset]
            if end >= self.offset and before == self.before and document[end : end + len(rest)] == rest:
                return middle
        return None


@frozen
class SuggestionSent:
    """An answer with a suggestion was sent."""

    at: float
    suggestion: PlacedSuggestion
    origin: SuggestionOrigin
    latency_ms: float = 0.0
    """From the request to the answer."""
    shown: bool = True
    """False if the client reports by itself what it shows."""
    alternatives: tuple[PlacedSuggestion, ...] = ()
    """Suggestions to choose instead, at the same place."""


@frozen
class EmptyAnswerSent:
    """An answer without a suggestion was sent: the suggestion that was on screen is gone."""

    at: float


@frozen
class DocumentEdited:
    """The document changed."""

    at: float
    document: str = field(repr=False)


@frozen
class SuggestionShown:
    """The client reported that the suggestion is on screen."""

    at: float


@frozen
class SuggestionAccepted:
    """The command of a suggestion ran."""

    at: float
    chars: int | None = None
    """Length of the suggestion that the command belongs to; None if the command names none."""


@frozen
class SuggestionPartlyAccepted:
    """The client reported that the first ``chars`` characters of the suggestion were accepted."""

    at: float
    chars: int
    whole_chars: int | None = None
    """Length of the suggestion that the client means; None if it names none."""


@frozen
class SuggestionDismissed:
    """The user dismissed the suggestion that was on screen."""

    at: float


@frozen
class DocumentClosed:
    """The document was closed, or the session ends."""

    at: float


Event = (
    SuggestionSent
    | EmptyAnswerSent
    | DocumentEdited
    | SuggestionShown
    | SuggestionAccepted
    | SuggestionPartlyAccepted
    | SuggestionDismissed
    | DocumentClosed
)
