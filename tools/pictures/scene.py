"""The scene of the pictures, which is the same in every editor, and its recording."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from tests.editors.repository import FILES, OPEN
from tools.pictures.drawing import ScreenFrame

MODEL = "default"
FILE = OPEN
MARKED = '''\
"""Labels for parcels."""

from parcels import codes


def print_label(parcel, carrier, printer):
    █


def print_labels(parcels, carrier, printer):
    for parcel in parcels:
        print_label(parcel, carrier, printer)
'''
"""The file, with the cursor at █. It needs a function of a file that is never opened."""

TYPED = "code = co"
SUGGESTIONS = 1
"""The number of suggestions that are accepted."""
STILL = 0
"""The suggestion on the still picture, counted from 0."""

OTHER_FILES = FILES
"""The repository around it: texts by their relative paths."""
EVERY_S = 0.16
"""Seconds between keys."""
READING_S = 1.4
"""Seconds that a suggestion stays before Tab."""


class NotShownError(Exception):
    """A picture does not hold the suggestion that the editor reported."""


@frozen
class AcceptedSuggestion:
    """Ghost text that was accepted, and when Tab was pressed."""

    text: str
    until_s: float


@frozen
class Recording:
    """Everything that was on an editor's screen."""

    frames: Sequence[ScreenFrame]
    suggestions: Sequence[AcceptedSuggestion]
    editor: str
    """Name and version."""

    def at(self, suggestion: AcceptedSuggestion) -> ScreenFrame:
        """Return the screen at the moment before Tab was pressed."""
        return [frame for frame in self.frames if frame.at_s < suggestion.until_s][-1]

    def check(self) -> None:
        """Make sure that every accepted suggestion is on the screen that it was accepted from.

        Raises:
            NotShownError: one is not.
        """
        for suggestion in self.suggestions:
            if not _holds(self.at(suggestion).words, suggestion.text):
                raise NotShownError(f"{suggestion.text!r} is not on {self.at(suggestion).words!r}")


def _holds(words: str, text: str) -> bool:
    """Return whether the words hold a text, spaces aside: editors split words at different places."""
    return all("".join(line.split()) in "".join(words.split()) for line in text.splitlines())
