"""Follow the user's own accepts and refusals: what the estimates must be shifted by to agree with them."""

from __future__ import annotations

from collections import deque

_REMEMBERED = 50
"""Last outcomes that count."""
_CAUTION = 20
"""Outcomes as estimated that are taken for granted, so that a few do not change much."""
_STRENGTH = 4.0
_LARGEST = 0.7
"""The largest shift, in logarithms of odds: estimates of 10% become 18% or 5%."""


class Habits:
    """The last outcomes of shown suggestions beside their estimates."""

    def __init__(self) -> None:
        self._errors: deque[float] = deque(maxlen=_REMEMBERED)

    def note(self, chance: float, *, kept: bool) -> None:
        """Note what became of a suggestion that was shown with this chance of being kept."""
        self._errors.append(float(kept) - chance)

    @property
    def shift(self) -> float:
        """The shift for estimates: positive for a user who keeps more than was estimated."""
        mean = sum(self._errors) / (len(self._errors) + _CAUTION)
        return max(-_LARGEST, min(_LARGEST, _STRENGTH * mean))
