"""The scene of the pictures, which is the same in every editor, and its recording."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from tools.pictures.drawing import ScreenFrame

MODEL = "default"
FILE = "inventory.py"
MARKED = '''\
"""A small inventory."""

from dataclasses import dataclass


@dataclass
class Item:
    name: str
    price: float
    quantity: int = 0


def find_item(items: list[Item], name: str) -> Item | None:
    █


def cheapest(items: list[Item]) -> Item:
    return min(items, key=lambda item: item.price)
'''
"""The file, with the cursor at █. The place suits a small model, because the rest of the file tells what is
missing."""

TYPED = "for "
SUGGESTIONS = 2
"""The number of suggestions that are accepted."""
STILL = 0
"""The suggestion on the still picture, counted from 0."""

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
