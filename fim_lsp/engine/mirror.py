"""What the KV cache holds, sequence by sequence, as far as we know: never more than is there.

Both engines keep one. It is truncated *before* the cache and appended to after a decode, so that an abort or
an error at any moment leaves it saying too little at worst, which costs evaluations and never a wrong token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import define, evolve, field, frozen

from fim_lsp.engine.sequence import Candidate, Choice, Plan, choose_sequence, count_shared, plan_reuse
from fim_lsp.types import AppliedAdapter, Prompt


@define
class SequenceState:
    """One sequence of the cache."""

    tokens: list[int] = field(factory=list, repr=False)
    adapters: tuple[AppliedAdapter, ...] = ()
    """Those that the tokens were evaluated under; under others they are of no use."""
    place: str = ""
    """What it was last used for: :attr:`Prompt.place`."""
    last_used: int = 0
    """Counts requests; 0 for never."""


@frozen
class Seat:
    """Where a prompt is evaluated, and what is left to evaluate there."""

    choice: Choice
    plan: Plan


@define
class Mirror:
    """All sequences of one cache, and which of them is in use."""

    states: tuple[SequenceState, ...]
    current: int = 0
    """The sequence that was last seated: decodes append to it."""
    foreground: int = 0
    """The sequence of the last request that was not background work."""
    _clock: int = field(default=0, init=False)

    @classmethod
    def of(cls, sequences: int) -> Mirror:
        """An empty cache of so many sequences."""
        return cls(tuple(SequenceState() for _ in range(sequences)))

    @property
    def tokens(self) -> list[int]:
        """What the current sequence holds."""
        return self.states[self.current].tokens

    def find_seat(
        self,
        prompt: Prompt,
        pieces: Sequence[bytes],
        encode: Callable[[str], tuple[int, ...]],
        *,
        background: bool = False,
    ) -> Seat | None:
        """The best sequence for a prompt.

        None for work in the background that has nothing to do, or that no sequence can be spared for.
        """

        def plan_at(sequence: int) -> Plan:
            state = self.states[sequence]
            held = state.tokens if state.adapters == prompt.adapters else ()
            return plan_reuse(held, prompt.head, prompt.tail, pieces, encode, heal=prompt.heal)

        candidates = [_candidate(state, prompt, pieces) for state in self.states]
        if background:
            best = max(range(len(candidates)), key=lambda at: candidates[at].kept)
            if _is_done(plan_at(best), self.states[best], prompt):
                return None
        choice = choose_sequence(candidates, spare=self.foreground if background else None)
        if choice is None:
            return None
        return Seat(choice, plan_at(choice.sequence if choice.source is None else choice.source))

    def take(self, seat: Seat, prompt: Prompt, *, background: bool = False) -> None:
        """Note that ``prompt`` is about to be evaluated in its seat; drop what the plan does not keep."""
        self.current = seat.choice.sequence
        state = self.states[self.current]
        source = state if seat.choice.source is None else self.states[seat.choice.source]
        state.tokens[:] = source.tokens[: seat.plan.keep]
        state.adapters, state.place = prompt.adapters, prompt.place
        self._clock += 1
        state.last_used = self._clock
        if not background:
            self.foreground = self.current

    def drop_current(self, plan: Plan) -> Plan:
        """The plan if the current sequence holds nothing after all (a cache that can't drop a tail)."""
        kept = tuple(self.tokens)
        self.tokens.clear()
        return evolve(plan, keep=0, pending=(*kept, *plan.pending))

    def window(self, count: int) -> range:
        """So many neighbouring sequences, or all, with the current one: those that hold least besides it."""
        count = min(count, len(self.states))
        held = [len(state.tokens) for state in self.states]
        first = range(max(0, self.current - count + 1), min(self.current, len(held) - count) + 1)
        start = min(first, key=lambda at: sum(held[at : at + count]))
        return range(start, start + count)

    def clear(self) -> None:
        """Know of nothing any more; what the cache holds is dropped when its sequence is next used."""
        for state in self.states:
            state.tokens.clear()


def _candidate(state: SequenceState, prompt: Prompt, pieces: Sequence[bytes]) -> Candidate:
    if state.adapters != prompt.adapters:
        return Candidate(len(state.tokens), 0, state.last_used)
    kept = count_shared(state.tokens, prompt.head, prompt.tail, pieces)
    same_place = bool(prompt.place) and state.place == prompt.place
    return Candidate(len(state.tokens), kept, state.last_used, same_place)


def _is_done(plan: Plan, state: SequenceState, prompt: Prompt) -> bool:
    """Whether only the last token is pending, and for its logits' sake alone."""
    last = tuple(state.tokens[plan.keep : plan.keep + 1])
    return state.adapters == prompt.adapters and plan.pending == last
