"""What is typed for the pictures, the same in every editor, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from tools.pictures.drawing import Frame

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
"""The file, and where the cursor begins. A place that suits a small model: it sees what is wanted."""

TYPED = "for "
SUGGESTIONS = 2
"""How many are accepted, one after the other."""
STILL = 0
"""The suggestion that stands on the still picture, counted from 0."""

EVERY_S = 0.16
"""Between keys."""
READING_S = 1.4
"""How long a suggestion is looked at before Tab."""


class NotShownError(Exception):
    """The picture does not hold what the editor said that it shows."""


@frozen
class Suggestion:
    """Ghost text that was accepted, and when Tab was pressed."""

    text: str
    until_s: float


@frozen
class Recording:
    """Everything that was on an editor's screen."""

    frames: Sequence[Frame]
    suggestions: Sequence[Suggestion]
    editor: str
    """Name and version."""

    def at(self, suggestion: Suggestion) -> Frame:
        """The screen that the user looked at when pressing Tab."""
        return [frame for frame in self.frames if frame.at_s < suggestion.until_s][-1]

    def check(self) -> None:
        """Every accepted suggestion must be written on the screen that it was accepted from.

        Raises:
            NotShownError: if one is not.
        """
        for suggestion in self.suggestions:
            if not _holds(self.at(suggestion).words, suggestion.text):
                raise NotShownError(f"{suggestion.text!r} is not on {self.at(suggestion).words!r}")


def _holds(words: str, text: str) -> bool:
    """Whether a text is written there, spaces aside: where a word is cut is the editor's affair."""
    return all("".join(line.split()) in "".join(words.split()) for line in text.splitlines())
