"""Speculative decoding: when drafts pay, and which drafts to try.

A decode evaluates a token and its draft at once, and the longest beginning of the draft that the model would
have sampled itself is kept (Leviathan et al., arXiv 2211.17192; greedy). On a CPU the additional rows are not
free: a draft of three costs 1.8 to 2.7 decodes of one token, by quantisation and machine. So the cost is
measured when a model is loaded, and a draft is tried only if it yields more than it costs at the acceptance
rate seen so far.

Drafts come from the text itself (prompt lookup decoding, after Saxena, 2023) and from the repository memory:
names, calls and whole lines of code repeat, and a suggestion that was dropped is most often right from the
next word on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from attrs import define, field, frozen

from fim_lsp.types import Speculation

DRAFT_TOKENS = 3
"""Tokens in a draft: a batch of four rows is what kernels for few rows are made for."""
ASSUMED_RATE = 0.7
"""Acceptance rate of drafted tokens before any is seen. Cautious: the default model accepted 151 of 197 that
were drafted at fourteen places of Python's standard library."""
_DOCUMENT_RUNS = (4, 3)
"""Tokens of the document that must match in a row."""
_FORMER_RUNS = (4, 3, 2)
"""Fewer tokens of a former suggestion must match: it was made for this location."""
_PRIOR_TOKENS = 20.0
"""Drafted tokens that the assumed rate counts for, beside those that were seen."""
_FADING = 0.9
"""Part of the counts that is left at each new generation, so that drafts are tried again later."""


def expected_tokens(rate: float, drafted: int) -> float:
    """Return how many tokens a decode yields on average.

    Args:
        rate: Acceptance rate of each drafted token, 0 to 1.
        drafted: Tokens in the draft.
    """
    return sum(rate**count for count in range(drafted + 1))


def pays(rate: float, drafted: int, cost_ratio: float) -> bool:
    """Return whether a draft yields more tokens than it costs decodes of one token.

    Args:
        rate: Acceptance rate of each drafted token, 0 to 1.
        drafted: Tokens in the draft.
        cost_ratio: Cost of a decode with a full draft, in decodes of one token; a shorter one costs less in
            proportion.
    """
    cost = 1 + (cost_ratio - 1) * drafted / DRAFT_TOKENS
    return drafted > 0 and expected_tokens(rate, drafted) > cost


def decide(setting: Literal["auto", "on", "off"], cost_ratio: float | None) -> Speculation:
    """Decide whether a loaded model uses drafts.

    Args:
        setting: ``model.speculation``.
        cost_ratio: As measured, 0 if it was not; None if the cache can't drop a rejected draft.
    """
    if setting == "off":
        return Speculation(reason="off by model.speculation")
    if cost_ratio is None:
        return Speculation(reason="off, as this model can't take back what it evaluated")
    if setting == "on":
        return Speculation(DRAFT_TOKENS, cost_ratio, "on by model.speculation")
    worth = expected_tokens(ASSUMED_RATE, DRAFT_TOKENS)
    figures = f"a draft of {DRAFT_TOKENS} costs {cost_ratio:.2f} decodes and is worth about {worth:.2f}"
    if pays(ASSUMED_RATE, DRAFT_TOKENS, cost_ratio):
        return Speculation(DRAFT_TOKENS, cost_ratio, f"on, as {figures}")
    return Speculation(0, cost_ratio, f"off, as {figures}")


@frozen
class Acceptance:
    """Counts of drafted tokens, which fade from one generation to the next."""

    accepted: float = 0.0
    checked: float = 0.0
    """Accepted and rejected tokens. Those behind a rejected one are not checked."""

    @property
    def rate(self) -> float:
        """The part that was accepted, 0 to 1, beginning with the assumed rate."""
        return (self.accepted + ASSUMED_RATE * _PRIOR_TOKENS) / (self.checked + _PRIOR_TOKENS)

    def after(self, accepted: int, *, rejected: bool) -> Acceptance:
        """Return the counts with one more draft: so many tokens accepted, and one rejected or none."""
        return Acceptance(self.accepted + accepted, self.checked + accepted + rejected)

    def faded(self) -> Acceptance:
        """Return the counts for the next generation."""
        return Acceptance(self.accepted * _FADING, self.checked * _FADING)


@define
class Ngrams:
    """A token list, with an index of what followed the latest occurrence of each run of a few tokens."""

    lengths: tuple[int, ...]
    """Tokens in a run. The first length that is found is used, so the longest comes first."""
    _tokens: list[int] = field(factory=list, init=False, repr=False)
    _behind: dict[tuple[int, ...], int] = field(factory=dict, init=False, repr=False)
    """Index of the token behind the latest occurrence of each run."""

    def extend(self, tokens: Iterable[int]) -> None:
        """Append these tokens."""
        for token in tokens:
            for length in self.lengths:
                if len(self._tokens) >= length:
                    self._behind[tuple(self._tokens[-length:])] = len(self._tokens)
            self._tokens.append(token)

    def following(self, last: Sequence[int], count: int) -> tuple[int, ...]:
        """Return up to ``count`` tokens that followed the latest run that ``last`` ends in, or none."""
        for length in self.lengths:
            if len(last) >= length and (start := self._behind.get(tuple(last[-length:]))) is not None:
                return tuple(self._tokens[start : start + count])
        return ()


@define
class Speculator:
    """The acceptance rate of one model's drafts. Lives as long as its engine, on the inference thread."""

    speculation: Speculation
    acceptance: Acceptance = Acceptance()

    def begin(self, prompt: Sequence[int], former: Sequence[int]) -> Drafter | None:
        """Prepare drafts for a generation. Return None if drafts don't pay.

        Args:
            prompt: All tokens of the prompt, the suffix included.
            former: Tokens of a text that the generation may repeat.
        """
        self.acceptance = self.acceptance.faded()
        if not self.pays(self.speculation.draft_tokens):
            return None
        drafter = Drafter(self, prompt[-max(_DOCUMENT_RUNS) :])
        drafter.document.extend(prompt)
        drafter.former.extend(former)
        return drafter

    def pays(self, drafted: int) -> bool:
        """Return whether a draft of so many tokens pays at the current rate."""
        return pays(self.acceptance.rate, drafted, self.speculation.cost_ratio)


@define
class Drafter:
    """Drafts for one generation."""

    speculator: Speculator
    last: Sequence[int]
    """The last tokens of the text so far."""
    document: Ngrams = field(factory=lambda: Ngrams(_DOCUMENT_RUNS))
    former: Ngrams = field(factory=lambda: Ngrams(_FORMER_RUNS))

    def draft(
        self,
        sampled: Sequence[int],
        limit: int,
        remembered: Callable[[int], tuple[int, ...]] = lambda count: (),
    ) -> tuple[int, ...]:
        """Return at most ``limit`` tokens that may follow those just sampled; none without a good guess.

        Args:
            sampled: The tokens.
            limit: Most tokens to draft.
            remembered: Returns up to so many tokens behind a long match of the repository memory.
        """
        self.document.extend(sampled)
        self.last = (*self.last, *sampled)[-max(_DOCUMENT_RUNS) :]
        count = min(self.speculator.speculation.draft_tokens, limit)
        if count < 1:
            return ()
        drafted = (
            self.former.following(self.last, count)
            or remembered(count)
            or self.document.following(self.last, count)
        )
        return drafted if self.speculator.pays(len(drafted)) else ()

    def record(self, drafted: Sequence[int], sampled: Sequence[int]) -> int:
        """Count which tokens of a draft the model sampled too, and return their number."""
        accepted = sum(token == other for token, other in zip(drafted, sampled, strict=False))
        rejected = accepted < min(len(drafted), len(sampled))
        self.speculator.acceptance = self.speculator.acceptance.after(accepted, rejected=rejected)
        return accepted
