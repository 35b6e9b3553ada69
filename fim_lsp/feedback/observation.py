r"""What becomes of the suggestions in one document: a pure state machine over events with their times.

A server is told little, so these are assumptions:

- A suggestion is on screen from the moment it was answered, or, where the client sends
  ``didShowCompletion``, from then on; it is gone when the document or a newer answer contradicts it. That
  the cursor moved away, nobody tells.
- Answers that go on with what is on screen, while the user types through it, are one suggestion.
- The command says that a suggestion was accepted. It comes after the insertion, which may be formatted, and
  sometimes after the next answer: so what an edit has ended waits for its command until the next edit.
- An edit that brings a beginning of the suggestion with at least three characters that are not blank is an
  acceptance of that part. Fewer are typing: Neovim sends the keystrokes of 150 ms as one edit, and Enter
  brings the indentation with it. What is typed and equals the suggestion is never accepted.
- Closing brackets that the editor adds behind what is typed belong to the typing.

Texts live here as long as a suggestion does, and go nowhere. Times are in milliseconds, of any one clock;
lengths in code points, where a line break of two characters counts as two.
"""

from __future__ import annotations

from typing import Literal

from attrs import evolve, frozen

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

_FEWEST_AT_ONCE = 3
_OPENERS, _CLOSERS = "([{\"'`", ")]}\"'`"

Kind = Literal["accepted", "partly_accepted", "typed", "rejected"]


@frozen
class Outcome:
    """What became of one suggestion: no text, only lengths and times."""

    kind: Kind
    shown_ms: float
    offered_chars: int
    typed_chars: int
    accepted_chars: int


@frozen
class Observation:
    """One suggestion from its first answer to its end."""

    offer: Offer
    origin: Origin
    latency_ms: float
    shown_at: float | None
    done: int = 0
    """Characters of the suggestion that were in the document before ``offer``."""
    progress: int = 0
    """Characters of ``offer`` that are in the document."""
    accepted: int = 0
    """How many of ``done`` and ``progress`` were inserted at once; the others were typed."""
    latest: int = 0
    """Characters that the last edit typed."""
    answered: frozenset[int] = frozenset()
    """Length of each answer, by which the command names one."""
    ended_at: float | None = None
    by_command: bool = False
    others: tuple[Offer, ...] = ()
    """What the user may choose instead. One that is chosen, or typed, takes the offer's place."""

    @property
    def remaining(self) -> str:
        """What is still on screen."""
        return self.offer.text[self.progress :]

    @property
    def length(self) -> int:
        """Characters of the whole suggestion."""
        return self.done + len(self.offer.text)

    def outcome(self) -> Outcome:
        """The outcome, once it has ended."""
        shown_ms = 0.0
        if self.shown_at is not None and self.ended_at is not None:
            shown_ms = max(0.0, self.ended_at - self.shown_at)
        typed = self.done + self.progress - self.accepted
        return Outcome(self._kind(), shown_ms, self.length, typed, self.accepted)

    def _kind(self) -> Kind:
        whole = not self.remaining
        if self.by_command or (self.accepted and whole):
            return "accepted"
        if self.accepted:
            return "partly_accepted"
        return "typed" if whole else "rejected"

    def variants(self) -> tuple[Observation, ...]:
        """This suggestion, and what it is if one of the others was meant."""
        typed = self.offer.text[: self.progress]
        return self, *(
            evolve(
                self, offer=other, answered=frozenset({_command_chars(other)}), others=self.others[at + 1 :]
            )
            for at, other in enumerate(self.others)
            if other.text.startswith(typed)
        )

    def named(self, chars: int | None) -> Observation:
        """The one of this and the others that has so many characters; this one if none has."""
        return next((one for one in self.variants() if chars in one.answered), self)

    def edited(self, document: str) -> Observation | None:
        """The same suggestion, or another one of those offered, after an edit; None if it contradicts all."""
        after = (one._edited(document) for one in self.variants())
        return next((one for one in after if one is not None), None)

    def _edited(self, document: str) -> Observation | None:
        middle = self.offer.inserted(document)
        progress = None if middle is None else _agreed(self.offer.text, middle)
        if progress is None:
            return None
        if progress <= self.progress:  # backspaced, or told of before it was done
            accepted = min(self.accepted, self.done + progress)
            return evolve(self, progress=progress, accepted=accepted, latest=0)
        fresh = self.offer.text[self.progress : progress]
        if progress == len(self.offer.text) and self.offer.replaces:
            fresh = fresh[: -self.offer.replaces]
        if sum(not char.isspace() for char in fresh) < _FEWEST_AT_ONCE:
            return evolve(self, progress=progress, latest=progress - self.progress)
        accepted = self.accepted + progress - self.progress
        return evolve(self, progress=progress, accepted=accepted, latest=0)

    def answered_again(self, offer: Offer) -> Observation | None:
        """This suggestion with a later answer that goes on with it; None if that is another one."""
        remaining, text = self.remaining, offer.text
        if offer.offset != self.offer.offset + self.progress or not remaining:
            return None
        if not (remaining.startswith(text) or text.startswith(remaining)):
            return None
        answered = self.answered | {_command_chars(offer)}
        if offer.document_chars == self.offer.document_chars + self.progress:
            whole = self.offer.text[: self.progress] + text
            return evolve(
                self, offer=evolve(self.offer, text=whole, replaces=offer.replaces), answered=answered
            )
        # The editor closed a bracket: from here on the place is another.
        done = self.done + self.progress
        return evolve(self, offer=offer, done=done, progress=0, answered=answered, others=())

    def accepted_whole(self, at: float) -> Observation:
        """As its command says: what the last edit brought was the acceptance, and so is what is missing."""
        latest = self.latest if self.ended_at is not None else 0
        return evolve(
            self,
            progress=len(self.offer.text),
            accepted=min(self.length, self.accepted + latest + len(self.remaining)),
            ended_at=at if self.ended_at is None else self.ended_at,
            by_command=True,
        )

    def accepted_partly(self, chars: int) -> Observation:
        """As a notification says; what was inferred from the edit is not counted twice."""
        chars = max(0, min(chars, len(self.offer.text)))
        progress = max(self.progress, chars)
        return evolve(self, progress=progress, accepted=max(self.accepted, chars), latest=0)


@frozen
class Watch:
    """One document's suggestions that are not decided yet."""

    open: Observation | None = None
    """On screen."""
    ended: Observation | None = None
    """Ended by the last edit, which may have been its acceptance."""


def step(watch: Watch, event: Event) -> tuple[Watch, tuple[Observation, ...]]:
    """The watch after an event, and the observations that it decided, oldest first."""
    match event:
        case Offered():
            return _offered(watch, event)
        case NothingOffered(at):
            return Watch(ended=watch.ended), _all(_end(watch.open, at))
        case Edited(at, document):
            return _after_edit(watch.open, at, document), _all(watch.ended)
        case Shown(at):
            if watch.open is None or watch.open.shown_at is not None:
                return watch, ()
            return evolve(watch, open=evolve(watch.open, shown_at=at)), ()
        case Accepted(at, chars):
            return _accepted(watch, at, chars)
        case PartlyAccepted(at, chars, whole):
            if watch.open is None:
                ended = watch.ended.accepted_partly(chars) if watch.ended else None
                return Watch(ended=ended), ()
            return _settled(watch.open.named(whole).accepted_partly(chars), at, watch.ended), ()
        case Closed(at):
            return Watch(), _all(watch.ended, _end(watch.open, at))


def _offered(watch: Watch, event: Offered) -> tuple[Watch, tuple[Observation, ...]]:
    if watch.open is not None and (same := watch.open.answered_again(event.offer)) is not None:
        return evolve(watch, open=same), ()
    fresh = Observation(
        event.offer,
        event.origin,
        event.latency_ms,
        shown_at=event.at if event.shown else None,
        answered=frozenset({_command_chars(event.offer)}),
        others=event.others,
    )
    return Watch(fresh, watch.ended), _all(_end(watch.open, event.at))


def _after_edit(observed: Observation | None, at: float, document: str) -> Watch:
    if observed is None:
        return Watch()
    after = observed.edited(document)
    return Watch(ended=_end(observed, at)) if after is None else _settled(after, at, None)


def _settled(observed: Observation, at: float, ended: Observation | None) -> Watch:
    """A suggestion that is wholly in the document is off the screen."""
    return Watch(observed, ended) if observed.remaining else Watch(ended=_end(observed, at))


def _accepted(watch: Watch, at: float, chars: int | None) -> tuple[Watch, tuple[Observation, ...]]:
    """Find the suggestion that the command means: the one of that length, else the likelier of the two."""
    complete = watch.ended is not None and not watch.ended.remaining
    likely = _all(watch.ended, watch.open) if complete else _all(watch.open, watch.ended)
    if not likely:
        return watch, ()
    variants = [(one, variant) for one in likely for variant in one.variants()]
    named = (pair for pair in variants if chars in pair[1].answered)
    which, meant = next(named, variants[0])
    rest = Watch(ended=watch.ended) if which is watch.open else Watch(open=watch.open)
    return rest, (meant.accepted_whole(at),)


def _agreed(text: str, middle: str) -> int | None:
    """How much of ``text`` stands in ``middle``; None if that says something else."""
    agreed = 0
    for said, found in zip(text, middle, strict=False):
        if said != found:
            break
        agreed += 1
    closers = middle[agreed:]
    opened = sum(char in _OPENERS for char in middle[:agreed])
    added = all(char in _CLOSERS for char in closers) and len(closers) <= opened
    return agreed if added else None


def _command_chars(offer: Offer) -> int:
    """The length that the command of an answer names: in the server's own line breaks."""
    return len(offer.text.replace("\r\n", "\n"))


def _end(observed: Observation | None, at: float) -> Observation | None:
    return None if observed is None else evolve(observed, ended_at=at)


def _all(*observed: Observation | None) -> tuple[Observation, ...]:
    return tuple(one for one in observed if one is not None)
