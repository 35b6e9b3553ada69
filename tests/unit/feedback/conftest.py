"""An editor for the state machine: a document with a suggestion, and what users do in it."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field

from fim_lsp.feedback.events import (
    DocumentClosed,
    DocumentEdited,
    EmptyAnswerSent,
    Event,
    PlacedSuggestion,
    SuggestionAccepted,
    SuggestionOrigin,
    SuggestionPartlyAccepted,
    SuggestionSent,
    SuggestionShown,
)
from fim_lsp.feedback.observation import Observation, SuggestionOutcome, Undecided, step

ORIGIN = SuggestionOrigin("0.1", "tiny", "", "python")


@define
class WatchedEditor:
    """A document with its cursor, its suggestion and what was decided. Each act takes a second."""

    text: str
    cursor: int
    undecided: Undecided = field(factory=Undecided)
    now: float = 0.0
    decided: list[Observation] = field(factory=list)

    @classmethod
    def of(cls, marked: str) -> WatchedEditor:
        before, after = marked.split("█")
        return cls(before + after, len(before))

    @property
    def outcomes(self) -> list[SuggestionOutcome]:
        return [observation.outcome() for observation in self.decided]

    @property
    def kinds(self) -> list[str]:
        return [outcome.kind for outcome in self.outcomes]

    def do(self, event: type[Event], *arguments: object) -> None:
        self.now += 1000
        self.undecided, decided = step(self.undecided, event(self.now, *arguments))
        self.decided += decided

    def suggest(
        self, text: str, replaces: int = 0, *, shown: bool = True, alternatives: Sequence[str] = ()
    ) -> None:
        first, *rest = (
            PlacedSuggestion.at(self.text, self.cursor, suggestion, replaces)
            for suggestion in (text, *alternatives)
        )
        self.do(SuggestionSent, first, ORIGIN, 12.0, shown, tuple(rest))

    def insert(self, text: str, replaces: int = 0, behind: str = "") -> None:
        """Edit at the cursor; ``behind`` is what the editor adds after the text."""
        self.text = self.text[: self.cursor] + text + behind + self.text[self.cursor + replaces :]
        self.cursor += len(text)
        self.do(DocumentEdited, self.text)

    def type(self, text: str) -> None:
        for character in text:
            self.insert(character)

    def backspace(self) -> None:
        self.text = self.text[: self.cursor - 1] + self.text[self.cursor :]
        self.cursor -= 1
        self.do(DocumentEdited, self.text)

    def accept(self, chars: int | None = None) -> None:
        self.do(SuggestionAccepted, chars)

    def accept_part(self, chars: int) -> None:
        self.do(SuggestionPartlyAccepted, chars)

    def show(self) -> None:
        self.do(SuggestionShown)

    def nothing(self) -> None:
        self.do(EmptyAnswerSent)

    def close(self) -> None:
        self.do(DocumentClosed)
