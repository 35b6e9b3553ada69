"""Recognise the place in the code that a request is for, though clients send only windows of files.

A prompt keeps its beginning from key to key only if the server knows that it is for the same place: anchors
and the windows of a prompt count from the beginning of a document. A client that sends the last 256 lines
before the cursor moves that beginning with each new line. So each client's last texts are remembered, and a
text that goes on from one of them is put behind the lines that are above it.
"""

from __future__ import annotations

import itertools

from attrs import evolve, field, frozen
from cachetools import LRUCache

_CLIENTS = 128
_PLACES_OF_A_CLIENT = 4
_LONGEST = 60_000
"""Characters before the cursor that are remembered of a place."""
_OVERLAP = 256
"""Characters that a text shares with a remembered one, at least, if it begins in the middle of that."""


@frozen
class ClientPlace:
    """A place in the code of one client."""

    client: str
    number: int
    path: str
    before: str = field(repr=False)
    """The text before the cursor, with the lines above it that the client sent earlier."""

    @property
    def uri(self) -> str:
        """A name for the place, which no file has."""
        return f"served:///{self.client}/{self.number}/{self.path}"


class Places:
    """The last places of each client. What one client sent is never compared with another one's text."""

    def __init__(self) -> None:
        self._known: LRUCache[str, tuple[ClientPlace, ...]] = LRUCache(_CLIENTS)
        self._numbers = itertools.count(1)

    def find(self, client: str, path: str, before: str) -> ClientPlace:
        """Return the place of a text, and remember it."""
        known = self._known.get(client, ())
        found = next((place for place in known if place.path == path and _begins_in(place, before)), None)
        if found is None:
            place = ClientPlace(client, next(self._numbers), path, before)
        else:
            above = found.before[: _start_in(found.before, before) or 0]
            place = evolve(found, before=above + before)
        if len(place.before) > _LONGEST:
            place = evolve(place, before=before)
        others = tuple(other for other in known if other is not found)
        self._known[client] = (place, *others)[:_PLACES_OF_A_CLIENT]
        return place


def _begins_in(place: ClientPlace, before: str) -> bool:
    return _start_in(place.before, before) is not None


def _start_in(known: str, before: str) -> int | None:
    """Return where a text begins in a known one that it goes on from or goes back in; None if it does not.

    Example: ``lines 2, 3 and 4`` begins behind line 1 of ``lines 1, 2 and 3``.
    """
    if not known or not before:
        return 0 if known == before else None
    if _begin_alike(known, before):
        return 0
    if len(before) < _OVERLAP:
        return None
    start = known.rfind(before[:_OVERLAP])
    if start < 0:
        return None
    shared = known[start:]
    return start if _begin_alike(shared, before) else None


def _begin_alike(shared: str, before: str) -> bool:
    """Tell whether two texts are the same for at least half of the shorter one: something may be edited."""
    half = (min(len(shared), len(before)) + 1) // 2
    return shared[:half] == before[:half]
