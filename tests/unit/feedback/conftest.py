"""An editor for the state machine: a document with a suggestion, and what users do to it."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field

from fim_lsp.feedback.events import (
    Accepted,
    Closed,
    Edited,
    Event,
    NothingOffered,
    Offer,
    Offered,
    Origin,
    PartlyAccepted,
    Shown,
)
from fim_lsp.feedback.observation import Observation, Outcome, Watch, step

ORIGIN = Origin("0.1", "tiny", "", "python")


@define
class Desk:
    """A document, its cursor, what is suggested, and what was decided; each act takes a second."""

    text: str
    cursor: int
    watch: Watch = field(factory=Watch)
    now: float = 0.0
    decided: list[Observation] = field(factory=list)

    @classmethod
    def of(cls, marked: str) -> Desk:
        before, after = marked.split("█")
        return cls(before + after, len(before))

    @property
    def outcomes(self) -> list[Outcome]:
        return [one.outcome() for one in self.decided]

    @property
    def kinds(self) -> list[str]:
        return [one.kind for one in self.outcomes]

    def do(self, event: type[Event], *arguments: object) -> None:
        self.now += 1000
        self.watch, decided = step(self.watch, event(self.now, *arguments))
        self.decided += decided

    def offer(self, text: str, replaces: int = 0, *, shown: bool = True, others: Sequence[str] = ()) -> None:
        first, *rest = (Offer.at(self.text, self.cursor, one, replaces) for one in (text, *others))
        self.do(Offered, first, ORIGIN, 12.0, shown, tuple(rest))

    def insert(self, text: str, replaces: int = 0, behind: str = "") -> None:
        """One edit at the cursor; ``behind`` is what the editor adds after it."""
        self.text = self.text[: self.cursor] + text + behind + self.text[self.cursor + replaces :]
        self.cursor += len(text)
        self.do(Edited, self.text)

    def type(self, text: str) -> None:
        for character in text:
            self.insert(character)

    def backspace(self) -> None:
        self.text = self.text[: self.cursor - 1] + self.text[self.cursor :]
        self.cursor -= 1
        self.do(Edited, self.text)

    def accept(self, chars: int | None = None) -> None:
        self.do(Accepted, chars)

    def accept_part(self, chars: int) -> None:
        self.do(PartlyAccepted, chars)

    def show(self) -> None:
        self.do(Shown)

    def nothing(self) -> None:
        self.do(NothingOffered)

    def close(self) -> None:
        self.do(Closed)
