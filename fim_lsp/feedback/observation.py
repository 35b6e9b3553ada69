r"""Decide what became of the suggestions in one document: a pure state machine over events with their times.

A server sees little of what happens in the editor, so this module assumes:

- A suggestion is on screen from the moment its answer was sent. If the client sends ``didShowCompletion``, it
  is on screen from that notification on. It is gone when an edit or a newer answer contradicts it. No
  notification reports that the cursor moved away.
- Answers that continue what is on screen, while the user types it, are one suggestion.
- The command of a suggestion means that it was accepted. The command comes after the insertion, which the
  editor may have formatted, and sometimes after the next answer. So a suggestion that an edit ended stays
  undecided until the next edit.
- An edit that inserts a beginning of the suggestion with at least three characters that are not blank accepts
  that part. Fewer characters count as typing: Neovim sends the keystrokes of 150 ms as one edit, and Enter
  inserts the indentation too. Text that is typed and equals the suggestion is never accepted.
- Closing brackets that the editor adds behind typed text belong to the typing.

Texts stay in memory, as long as their suggestion is undecided. Times are in milliseconds of any one clock.
Lengths are in code points, and ``\r\n`` counts as two.
"""

from __future__ import annotations

from typing import Literal

from attrs import evolve, frozen

from fim_lsp.feedback.events import (
    DocumentClosed,
    DocumentEdited,
    EmptyAnswerSent,
    Event,
    PlacedSuggestion,
    SuggestionAccepted,
    SuggestionDismissed,
    SuggestionOrigin,
    SuggestionPartlyAccepted,
    SuggestionSent,
    SuggestionShown,
)

_FEWEST_AT_ONCE = 3
_OPENERS, _CLOSERS = "([{\"'`", ")]}\"'`"

Kind = Literal["accepted", "partly_accepted", "typed", "rejected"]


@frozen
class SuggestionOutcome:
    """The outcome of one suggestion: lengths and times, and no text."""

    kind: Kind
    shown_ms: float
    suggestion_chars: int
    typed_chars: int
    accepted_chars: int


@frozen
class Observation:
    """One suggestion from its first answer to its end."""

    suggestion: PlacedSuggestion
    origin: SuggestionOrigin
    latency_ms: float
    shown_at: float | None
    done_chars: int = 0
    """Characters of the suggestion that are in the document before ``suggestion``."""
    inserted_chars: int = 0
    """Characters of ``suggestion`` that are in the document."""
    accepted_chars: int = 0
    """Characters of these two that were inserted at once; the others were typed."""
    last_typed_chars: int = 0
    """Characters that the last edit typed."""
    answer_lengths: frozenset[int] = frozenset()
    """Length of each answer. The command names a suggestion by it."""
    ended_at: float | None = None
    by_command: bool = False
    alternatives: tuple[PlacedSuggestion, ...] = ()
    """Suggestions to choose instead. The chosen or typed one takes the place of ``suggestion``."""

    @property
    def remaining(self) -> str:
        """The part that is still on screen."""
        return self.suggestion.text[self.inserted_chars :]

    @property
    def length(self) -> int:
        """Characters of the whole suggestion."""
        return self.done_chars + len(self.suggestion.text)

    def outcome(self) -> SuggestionOutcome:
        """Return the outcome. Call it when the suggestion has ended."""
        shown_ms = 0.0
        if self.shown_at is not None and self.ended_at is not None:
            shown_ms = max(0.0, self.ended_at - self.shown_at)
        typed = self.done_chars + self.inserted_chars - self.accepted_chars
        return SuggestionOutcome(self._kind(), shown_ms, self.length, typed, self.accepted_chars)

    def _kind(self) -> Kind:
        whole = not self.remaining
        if self.by_command or (self.accepted_chars and whole):
            return "accepted"
        if self.accepted_chars:
            return "partly_accepted"
        return "typed" if whole else "rejected"

    def variants(self) -> tuple[Observation, ...]:
        """Return this observation, and what it becomes if the user meant one of the alternatives."""
        typed = self.suggestion.text[: self.inserted_chars]
        return self, *(
            evolve(
                self,
                suggestion=other,
                answer_lengths=frozenset({_command_length(other)}),
                alternatives=self.alternatives[index + 1 :],
            )
            for index, other in enumerate(self.alternatives)
            if other.text.startswith(typed)
        )

    def of_length(self, chars: int | None) -> Observation:
        """Return the first of the variants that has this length; the observation itself if none has."""
        return next((variant for variant in self.variants() if chars in variant.answer_lengths), self)

    def after_edit(self, document: str) -> Observation | None:
        """Return the first variant that agrees with an edit; None if the edit contradicts all of them."""
        edited = (variant._after_edit(document) for variant in self.variants())
        return next((variant for variant in edited if variant is not None), None)

    def _after_edit(self, document: str) -> Observation | None:
        middle = self.suggestion.inserted_text(document)
        inserted = None if middle is None else _agreeing_chars(self.suggestion.text, middle)
        if inserted is None:
            return None
        if inserted <= self.inserted_chars:  # backspaced, or reported before it was done
            accepted = min(self.accepted_chars, self.done_chars + inserted)
            return evolve(self, inserted_chars=inserted, accepted_chars=accepted, last_typed_chars=0)
        fresh = self.suggestion.text[self.inserted_chars : inserted]
        if inserted == len(self.suggestion.text) and self.suggestion.replaced_chars:
            fresh = fresh[: -self.suggestion.replaced_chars]
        if sum(not char.isspace() for char in fresh) < _FEWEST_AT_ONCE:
            return evolve(self, inserted_chars=inserted, last_typed_chars=inserted - self.inserted_chars)
        accepted = self.accepted_chars + inserted - self.inserted_chars
        return evolve(self, inserted_chars=inserted, accepted_chars=accepted, last_typed_chars=0)

    def continued_by(self, suggestion: PlacedSuggestion) -> Observation | None:
        """Return this observation extended by a later answer; None if the answer is another suggestion.

        Example: ``foo(`` is on screen and the user typed ``fo``; the answer ``o(x)`` makes it ``foo(x)``.
        """
        remaining, text = self.remaining, suggestion.text
        if suggestion.offset != self.suggestion.offset + self.inserted_chars or not remaining:
            return None
        if not (remaining.startswith(text) or text.startswith(remaining)):
            return None
        lengths = self.answer_lengths | {_command_length(suggestion)}
        if suggestion.document_chars == self.suggestion.document_chars + self.inserted_chars:
            whole = self.suggestion.text[: self.inserted_chars] + text
            extended = evolve(self.suggestion, text=whole, replaced_chars=suggestion.replaced_chars)
            return evolve(self, suggestion=extended, answer_lengths=lengths)
        # The editor closed a bracket, so the text around the cursor is another one from here on.
        done = self.done_chars + self.inserted_chars
        return evolve(
            self,
            suggestion=suggestion,
            done_chars=done,
            inserted_chars=0,
            answer_lengths=lengths,
            alternatives=(),
        )

    def accepted_whole(self, at: float) -> Observation:
        """Return this observation as accepted by its command.

        What the last edit typed was the acceptance then, and so is what is missing in the document.
        """
        typed = self.last_typed_chars if self.ended_at is not None else 0
        return evolve(
            self,
            inserted_chars=len(self.suggestion.text),
            accepted_chars=min(self.length, self.accepted_chars + typed + len(self.remaining)),
            ended_at=at if self.ended_at is None else self.ended_at,
            by_command=True,
        )

    def accepted_partly(self, chars: int) -> Observation:
        """Return this observation with its first ``chars`` characters accepted.

        Characters that the edit itself has shown to be accepted are not counted twice. Without any character
        nothing was accepted, and the observation stays.
        """
        if chars <= 0:
            return self
        chars = min(chars, len(self.suggestion.text))
        inserted = max(self.inserted_chars, chars)
        accepted = max(self.accepted_chars, chars)
        return evolve(self, inserted_chars=inserted, accepted_chars=accepted, last_typed_chars=0)


@frozen
class Undecided:
    """One document's suggestions whose outcome is not decided yet."""

    shown: Observation | None = None
    """The suggestion on screen."""
    ended: Observation | None = None
    """The suggestion that the last edit ended. The edit may have been its acceptance."""


def step(undecided: Undecided, event: Event) -> tuple[Undecided, tuple[Observation, ...]]:
    """Return what is undecided after an event, and the observations that it decided, oldest first."""
    match event:
        case SuggestionSent():
            return _after_suggestion(undecided, event)
        case EmptyAnswerSent(at) | SuggestionDismissed(at):
            return Undecided(ended=undecided.ended), _present(_ended(undecided.shown, at))
        case DocumentEdited(at, document):
            return _after_edit(undecided.shown, at, document), _present(undecided.ended)
        case SuggestionShown(at):
            if undecided.shown is None or undecided.shown.shown_at is not None:
                return undecided, ()
            return evolve(undecided, shown=evolve(undecided.shown, shown_at=at)), ()
        case SuggestionAccepted(at, chars):
            return _after_command(undecided, at, chars)
        case SuggestionPartlyAccepted(at, chars, whole_chars):
            if undecided.shown is None:
                ended = undecided.ended.accepted_partly(chars) if undecided.ended else None
                return Undecided(ended=ended), ()
            accepted = undecided.shown.of_length(whole_chars).accepted_partly(chars)
            return _end_if_whole(accepted, at, undecided.ended), ()
        case DocumentClosed(at):
            return Undecided(), _present(undecided.ended, _ended(undecided.shown, at))


def _after_suggestion(
    undecided: Undecided, event: SuggestionSent
) -> tuple[Undecided, tuple[Observation, ...]]:
    if (
        undecided.shown is not None
        and (continued := undecided.shown.continued_by(event.suggestion)) is not None
    ):
        return evolve(undecided, shown=continued), ()
    fresh = Observation(
        event.suggestion,
        event.origin,
        event.latency_ms,
        shown_at=event.at if event.shown else None,
        answer_lengths=frozenset({_command_length(event.suggestion)}),
        alternatives=event.alternatives,
    )
    return Undecided(fresh, undecided.ended), _present(_ended(undecided.shown, event.at))


def _after_edit(shown: Observation | None, at: float, document: str) -> Undecided:
    if shown is None:
        return Undecided()
    edited = shown.after_edit(document)
    return Undecided(ended=_ended(shown, at)) if edited is None else _end_if_whole(edited, at, None)


def _end_if_whole(shown: Observation, at: float, ended: Observation | None) -> Undecided:
    """End a suggestion that is wholly in the document: it is off the screen."""
    return Undecided(shown, ended) if shown.remaining else Undecided(ended=_ended(shown, at))


def _after_command(
    undecided: Undecided, at: float, chars: int | None
) -> tuple[Undecided, tuple[Observation, ...]]:
    """Accept the suggestion that the command names by its length, else the likelier one of the two."""
    complete = undecided.ended is not None and not undecided.ended.remaining
    newest_first = _present(undecided.shown, undecided.ended)
    likely = newest_first[::-1] if complete else newest_first
    if not likely:
        return undecided, ()
    variants = [(observed, variant) for observed in likely for variant in observed.variants()]
    of_length = (pair for pair in variants if chars in pair[1].answer_lengths)
    observed, meant = next(of_length, variants[0])
    rest = (
        Undecided(ended=undecided.ended) if observed is undecided.shown else Undecided(shown=undecided.shown)
    )
    return rest, (meant.accepted_whole(at),)


def _agreeing_chars(text: str, middle: str) -> int | None:
    """Return how many characters of ``text`` begin ``middle``; None if ``middle`` contradicts it.

    Closing brackets behind them do not contradict, as the editor may have added those.
    Example: ``foo(x)`` and ``foo(``: 4, and so for ``foo()``; with ``foo[`` it is None.
    """
    agreed = 0
    for expected, found in zip(text, middle, strict=False):
        if expected != found:
            break
        agreed += 1
    closers = middle[agreed:]
    opened = sum(char in _OPENERS for char in middle[:agreed])
    added = all(char in _CLOSERS for char in closers) and len(closers) <= opened
    return agreed if added else None


def _command_length(suggestion: PlacedSuggestion) -> int:
    """Return the length that the command of an answer names: with the server's own line breaks."""
    return len(suggestion.text.replace("\r\n", "\n"))


def _ended(observed: Observation | None, at: float) -> Observation | None:
    return None if observed is None else evolve(observed, ended_at=at)


def _present(*observed: Observation | None) -> tuple[Observation, ...]:
    return tuple(observation for observation in observed if observation is not None)
