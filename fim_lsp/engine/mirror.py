"""A mirror of the KV cache: the tokens that each of its sequences holds, and logits behind some of them.

Both engines keep one. It is truncated *before* the cache and appended to after a decode. An abort or an error
at any moment therefore leaves it with too few tokens at worst, which costs evaluations but never lets a
wrong token count as evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import define, evolve, field, frozen

from fim_lsp.engine.kept_logits import KeptLogits
from fim_lsp.engine.sampling import Logits
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
    """The adapters that the tokens were evaluated under. Under others they can't be reused."""
    location: str = ""
    """:attr:`Prompt.location` of the last prompt."""
    last_used: int = 0
    """Number of the last request; 0 for none."""


@frozen
class Slot:
    """The sequence where a prompt is evaluated, and which of its tokens need evaluation there."""

    choice: SequenceChoice
    plan: ReusePlan


@define
class Mirror:
    """All sequences of one cache, and which of them is in use."""

    states: tuple[SequenceState, ...]
    current: int = 0
    """The sequence of the last prompt: decodes append to it."""
    foreground: int = 0
    """The sequence of the last prompt that was not background work."""
    _requests: int = field(default=0, init=False)
    kept_logits: KeptLogits = field(factory=KeptLogits, init=False, repr=False)
    """Rows behind tokens that some sequence held when they were computed."""

    @classmethod
    def of(cls, sequences: int) -> Mirror:
        """Return the mirror of an empty cache with so many sequences."""
        return cls(tuple(SequenceState() for _ in range(sequences)))

    @property
    def tokens(self) -> list[int]:
        """The tokens of the current sequence."""
        return self.states[self.current].tokens

    @property
    def logits(self) -> Logits | None:
        """The kept logits behind the current sequence, shape (vocabulary,); None if there are none."""
        state = self.states[self.current]
        return self.kept_logits.find(state.adapters, state.tokens)

    def keep_logits(self, rows: Sequence[Logits]) -> None:
        """Keep the logits behind each of the current sequence's last tokens, one row for each."""
        state = self.states[self.current]
        for end, row in enumerate(rows, len(state.tokens) - len(rows) + 1):
            self.kept_logits.keep(state.adapters, state.tokens[:end], row)

    def find_slot(
        self,
        prompt: Prompt,
        pieces: Sequence[bytes],
        encode: Callable[[str], tuple[int, ...]],
        *,
        background: bool = False,
    ) -> Slot | None:
        """Find the best sequence for a prompt, without changing anything.

        Returns:
            The slot. None for background work if the prompt is evaluated already, or if no sequence may be
            overwritten.
        """

        def has_logits(tokens: Sequence[int]) -> bool:
            return self.kept_logits.find(prompt.adapters, tokens) is not None

        def plan_at(sequence: int) -> ReusePlan:
            state = self.states[sequence]
            evaluated = state.tokens if state.adapters == prompt.adapters else ()
            return plan_reuse(
                *(evaluated, prompt.head, prompt.tail, pieces, encode),
                heal=prompt.heal,
                has_logits=has_logits,
            )

        fits = [_fit(state, prompt, pieces) for state in self.states]
        if background:
            best = max(range(len(fits)), key=lambda sequence: fits[sequence].kept)
            if _is_done(plan_at(best), self.states[best], prompt):
                return None
        choice = choose_sequence(fits, spare=self.foreground if background else None)
        return None if choice is None else Slot(choice, plan_at(choice.reused))

    def reevaluate(self, slot: Slot, rows: int) -> Slot:
        """Return ``slot`` with at least the last ``rows`` tokens of its prompt pending.

        Raises:
            ValueError: the prompt has fewer tokens, or ``rows`` is less than 1.
        """
        plan = slot.plan
        if not 1 <= rows <= plan.prompt_tokens:
            raise ValueError(f"A prompt of {plan.prompt_tokens} tokens has no {rows} rows of logits.")
        keep = min(plan.keep, plan.prompt_tokens - rows)
        evaluated = self.states[slot.choice.reused].tokens
        pending = (*evaluated[keep : plan.keep], *plan.pending)
        return evolve(slot, plan=evolve(plan, keep=keep, pending=pending))

    def assign(self, slot: Slot, prompt: Prompt, *, background: bool = False) -> None:
        """Make the slot's sequence the current one, with the tokens that the plan keeps and no others."""
        self.current = slot.choice.sequence
        state = self.states[self.current]
        state.tokens[:] = self.states[slot.choice.reused].tokens[: slot.plan.keep]
        state.adapters, state.location = prompt.adapters, prompt.location
        self._requests += 1
        state.last_used = self._requests
        if not background:
            self.foreground = self.current

    def drop_current(self, plan: ReusePlan) -> ReusePlan:
        """Empty the current sequence, and return the plan that evaluates the whole prompt.

        For a cache that can't drop a tail.
        """
        kept = tuple(self.tokens)
        self.tokens.clear()
        return evolve(plan, keep=0, pending=(*kept, *plan.pending))

    def window(self, count: int) -> range:
        """Return ``count`` neighbouring sequences, or all, that include the current one.

        Of all such ranges it is the one that holds the fewest tokens.
        """
        count = min(count, len(self.states))
        held = [len(state.tokens) for state in self.states]
        starts = range(max(0, self.current - count + 1), min(self.current, len(held) - count) + 1)
        start = min(starts, key=lambda start: sum(held[start : start + count]))
        return range(start, start + count)

    def clear(self) -> None:
        """Forget all tokens and logits. The cache drops its own when a sequence is next used."""
        for state in self.states:
            state.tokens.clear()
        self.kept_logits.clear()


def _fit(state: SequenceState, prompt: Prompt, pieces: Sequence[bytes]) -> SlotFit:
    if state.adapters != prompt.adapters:
        return SlotFit(len(state.tokens), 0, state.last_used)
    kept = count_shared(state.tokens, prompt.head, prompt.tail, pieces)
    same_location = bool(prompt.location) and state.location == prompt.location
    return SlotFit(len(state.tokens), kept, state.last_used, same_location)


def _is_done(plan: ReusePlan, state: SequenceState, prompt: Prompt) -> bool:
    """Return whether nothing is pending, or only the last token, which is evaluated again for its logits."""
    last = tuple(state.tokens[plan.keep : plan.keep + 1])
    return state.adapters == prompt.adapters and plan.pending in ((), last)
