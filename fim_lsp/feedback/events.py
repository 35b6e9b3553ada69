"""What happens to the suggestions in one document, as values; times in milliseconds of any one clock."""

from __future__ import annotations

from attrs import field, frozen

_WINDOW = 4096
"""Characters compared on each side of a suggestion, as the suggestion cache does."""


@frozen
class Origin:
    """Whose suggestion it was, and for which language."""

    server: str
    """Version of the server."""
    model: str
    adapter: str
    """Empty without one."""
    language: str


@frozen
class Offer:
    """A suggestion at its place. Made by :meth:`at`."""

    text: str = field(repr=False)
    offset: int
    document_chars: int
    replaces: int
    """Characters after the cursor that the text itself repeats."""
    before: str = field(repr=False)
    after: str = field(repr=False)

    @classmethod
    def at(cls, document: str, offset: int, text: str, replaces: int = 0) -> Offer:
        """A suggestion for the cursor at ``offset``; its line breaks become those of the document."""
        before, after = document[max(0, offset - _WINDOW) : offset], document[offset : offset + _WINDOW]
        if "\r\n" in before or "\r\n" in after:
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        return cls(text, offset, len(document), replaces, before, after)

    def inserted(self, document: str) -> str | None:
        """What stands at the offer's place by now; None if the document changed anywhere else."""
        growth = len(document) - self.document_chars
        # The text may have replaced what it repeats, or be typed in front of it.
        for replaced in dict.fromkeys((self.replaces, 0)):
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
class Offered:
    """An answer with a suggestion was sent."""

    at: float
    offer: Offer
    origin: Origin
    latency_ms: float = 0.0
    """From the request to the answer."""
    shown: bool = True
    """False where the client tells by itself what it shows."""
    others: tuple[Offer, ...] = ()
    """What the user may choose instead, at the same place."""


@frozen
class NothingOffered:
    """An answer without a suggestion was sent: what was on screen is gone."""

    at: float


@frozen
class Edited:
    """The document changed."""

    at: float
    document: str = field(repr=False)


@frozen
class Shown:
    """The client says that the suggestion is on screen."""

    at: float


@frozen
class Accepted:
    """The command of a suggestion ran."""

    at: float
    chars: int | None = None
    """Length of the suggestion that the command belonged to, if it said so."""


@frozen
class PartlyAccepted:
    """The client says that the first ``chars`` characters of the suggestion were accepted."""

    at: float
    chars: int
    whole: int | None = None
    """Length of the suggestion that it means, if it said so."""


@frozen
class Closed:
    """The document was closed, or the session ends."""

    at: float


Event = Offered | NothingOffered | Edited | Shown | Accepted | PartlyAccepted | Closed
