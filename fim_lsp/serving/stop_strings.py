"""Find stop strings in text that arrives in pieces. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field


@define
class StopStrings:
    """Holds back text that may be the beginning of a stop string.

    Example: with the stop string ``END``, of ``aE``, ``N``, ``x`` it releases ``a``, nothing, ``ENx``.
    """

    stops: Sequence[str]
    found: str | None = None
    """The stop string that the text ended with."""
    _held: str = field(default="", init=False)

    def add(self, text: str) -> str:
        """Take more text; return the part that is certain. Nothing comes after a stop string is found."""
        if self.found is not None:
            return ""
        held = self._held + text
        ends = [(held.find(stop), -len(stop), stop) for stop in self.stops if stop in held]
        if ends:
            end, _, self.found = min(ends)
            self._held = ""
            return held[:end]
        kept = max((_overlap(held, stop) for stop in self.stops), default=0)
        self._held = held[len(held) - kept :]
        return held[: len(held) - kept]

    def rest(self) -> str:
        """Return the text held back, once no more comes."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of ``text`` that ``stop`` begins with: ``aEN``, ``END`` -> 2."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0


@define
class IndentLimit:
    """Ends a text in front of the first line that is indented less than a limit, as llama-server does.

    Example: with a limit of 4, of a text with the lines ``a``, ``    b`` and ``c`` it releases the first two.
    """

    columns: int
    """0 for no limit."""
    reached: bool = False
    """True once a line was indented less."""
    _held: str = field(default="", init=False)
    """A line break and the blanks behind it."""

    def add(self, text: str) -> str:
        """Take more text; return the part that is certain."""
        if not self.columns:
            return text
        released: list[str] = []
        for char in text:
            if self.reached:
                break
            if char == "\n":
                released.append(self._held)
                self._held = char
            elif self._held and char in " \t":
                self._held += char
            elif self._held and len(self._held) - 1 < self.columns:
                self.reached, self._held = True, ""
            else:
                released.append(self._held + char)
                self._held = ""
        return "".join(released)

    def rest(self) -> str:
        """Return the text held back, once no more comes."""
        held, self._held = self._held, ""
        return held
