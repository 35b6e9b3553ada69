"""What the KV cache holds, sequence by sequence, as far as we know: never more than is there.

Both engines keep one. It is truncated *before* the cache and appended to after a decode, so that an abort or
an error at any moment leaves it saying too little at worst, which costs evaluations and never a wrong token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import define, evolve, field, frozen

from fim_lsp.engine.sequence import (
    ReusePlan,
    SequenceChoice,
    SlotFit,
    choose_sequence,
    count_shared,
    plan_reuse,
)
from fim_lsp.types import AppliedAdapter, Prompt


@define
class SequenceState:
    """One sequence of the cache."""

    tokens: list[int] = field(factory=list, repr=False)
    adapters: tuple[AppliedAdapter, ...] = ()
    """Those that the tokens were evaluated under; under others they are of no use."""
    location: str = ""
    """What it was last used for: :attr:`Prompt.location`."""
    last_used: int = 0
    """Counts requests; 0 for never."""


@frozen
class Slot:
    """Where a prompt is evaluated, and what is left to evaluate there."""

    choice: SequenceChoice
    plan: ReusePlan


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

    def find_slot(
        self,
        prompt: Prompt,
        pieces: Sequence[bytes],
        encode: Callable[[str], tuple[int, ...]],
        *,
        background: bool = False,
    ) -> Slot | None:
        """The best sequence for a prompt.

        None for work in the background that has nothing to do, or that no sequence can be spared for.
        """

        def plan_at(sequence: int) -> ReusePlan:
            state = self.states[sequence]
            held = state.tokens if state.adapters == prompt.adapters else ()
            return plan_reuse(held, prompt.head, prompt.tail, pieces, encode, heal=prompt.heal)

        candidates = [_slot_fit(state, prompt, pieces) for state in self.states]
        if background:
            best = max(range(len(candidates)), key=lambda at: candidates[at].kept)
            if _is_done(plan_at(best), self.states[best], prompt):
                return None
        choice = choose_sequence(candidates, spare=self.foreground if background else None)
        if choice is None:
            return None
        return Slot(choice, plan_at(choice.sequence if choice.source is None else choice.source))

    def reevaluate(self, slot: Slot, rows: int) -> Slot:
        """Return ``slot`` with at least the last ``rows`` tokens of its prompt pending.

        Raises:
            ValueError: the prompt has fewer tokens, or ``rows`` is less than 1.
        """
        plan, choice = slot.plan, slot.choice
        if not 1 <= rows <= plan.prompt_tokens:
            raise ValueError(f"A prompt of {plan.prompt_tokens} tokens has no {rows} rows of logits.")
        keep = min(plan.keep, plan.prompt_tokens - rows)
        held = self.states[choice.sequence if choice.source is None else choice.source].tokens
        pending = (*held[keep : plan.keep], *plan.pending)
        return evolve(slot, plan=evolve(plan, keep=keep, pending=pending))

    def take(self, slot: Slot, prompt: Prompt, *, background: bool = False) -> None:
        """Note that ``prompt`` is about to be evaluated in its slot; drop what the plan does not keep."""
        self.current = slot.choice.sequence
        state = self.states[self.current]
        source = state if slot.choice.source is None else self.states[slot.choice.source]
        state.tokens[:] = source.tokens[: slot.plan.keep]
        state.adapters, state.location = prompt.adapters, prompt.location
        self._clock += 1
        state.last_used = self._clock
        if not background:
            self.foreground = self.current

    def drop_current(self, plan: ReusePlan) -> ReusePlan:
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


def _slot_fit(state: SequenceState, prompt: Prompt, pieces: Sequence[bytes]) -> SlotFit:
    if state.adapters != prompt.adapters:
        return SlotFit(len(state.tokens), 0, state.last_used)
    kept = count_shared(state.tokens, prompt.head, prompt.tail, pieces)
    same_location = bool(prompt.location) and state.location == prompt.location
    return SlotFit(len(state.tokens), kept, state.last_used, same_location)


def _is_done(plan: ReusePlan, state: SequenceState, prompt: Prompt) -> bool:
    """Whether only the last token is pending, and for its logits' sake alone."""
    last = tuple(state.tokens[plan.keep : plan.keep + 1])
    return state.adapters == prompt.adapters and plan.pending == last
