"""Speculative decoding: whether it pays, and which drafts are tried.

A decode evaluates a token and its draft at once, and the longest beginning of the draft that the model would
have said itself is kept (Leviathan et al., arXiv 2211.17192; greedy). On a CPU the rows are not free: a draft
of three costs 1.8 to 2.7 decodes of one token, by quantisation and machine. So the cost is measured when a
model is loaded, and a draft is tried only where it is worth more than it costs, at the rate at which drafts
come true.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from attrs import define, field, frozen

from fim_lsp.engine.drafts import Ngrams
from fim_lsp.types import Speculation

DRAFT_TOKENS = 3
"""Tokens in a draft: a batch of four rows is what kernels for few rows are made for."""
ASSUMED_RATE = 0.7
"""How often a drafted token comes true, before anything is known. Cautious: the default model said 151 of 197
itself that were drafted at fourteen places of Python's standard library."""
_DOCUMENT_RUNS = (4, 3)
"""Tokens that must have stood in the document in just this order."""
_FORMER_RUNS = (4, 3, 2)
"""In a former suggestion fewer do: it was made for this place."""
_WEIGHT = 20.0
"""Drafted tokens that the assumption is worth, against those that were seen."""
_FORGETTING = 0.9
"""What is left of what was seen at each new generation, so that drafts get another chance."""


def expected_tokens(rate: float, drafted: int) -> float:
    """Tokens that a decode yields on average, if each drafted one comes true at ``rate`` (0 to 1)."""
    return sum(rate**at for at in range(drafted + 1))


def pays(rate: float, drafted: int, cost_ratio: float) -> bool:
    """Whether a draft is worth more tokens than it costs decodes of one token.

    Args:
        rate: How often a drafted token comes true, 0 to 1.
        drafted: Tokens in the draft.
        cost_ratio: What a decode with a full draft costs, in decodes of one token; a shorter one costs less
            in proportion.
    """
    cost = 1 + (cost_ratio - 1) * drafted / DRAFT_TOKENS
    return drafted > 0 and expected_tokens(rate, drafted) > cost


def decide(setting: Literal["auto", "on", "off"], cost_ratio: float | None) -> Speculation:
    """What a loaded model does about drafts.

    Args:
        setting: ``model.speculation``.
        cost_ratio: As measured, 0 if it was not; None where the cache can't drop a rejected draft.
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
    """How often drafted tokens came true, as counts that fade."""

    accepted: float = 0.0
    judged: float = 0.0
    """Accepted ones and those that were wrong; what comes behind a wrong one is not judged."""

    @property
    def rate(self) -> float:
        """The share that came true, with the assumption as a start."""
        return (self.accepted + ASSUMED_RATE * _WEIGHT) / (self.judged + _WEIGHT)

    def after(self, accepted: int, *, wrong: bool) -> Acceptance:
        """With one more draft."""
        return Acceptance(self.accepted + accepted, self.judged + accepted + wrong)

    def faded(self) -> Acceptance:
        """As it counts for the next generation."""
        return Acceptance(self.accepted * _FORGETTING, self.judged * _FORGETTING)


@define
class Speculator:
    """One model's drafts. Lives as long as its engine, on the inference thread."""

    decided: Speculation
    acceptance: Acceptance = Acceptance()

    def begin(self, prompt: Sequence[int], former: Sequence[int]) -> Drafter | None:
        """Get ready for a generation; None where drafts don't pay.

        Args:
            prompt: Its tokens, suffix and all.
            former: Tokens of a text that the answer may go along.
        """
        self.acceptance = self.acceptance.faded()
        if not self.pays(self.decided.draft_tokens):
            return None
        drafter = Drafter(self, prompt[-max(_DOCUMENT_RUNS) :])
        drafter.document.extend(prompt)
        drafter.former.extend(former)
        return drafter

    def pays(self, drafted: int) -> bool:
        """Whether a draft of so many tokens is worth it by now."""
        return pays(self.acceptance.rate, drafted, self.decided.cost_ratio)


@define
class Drafter:
    """Drafts for one generation."""

    speculator: Speculator
    last: Sequence[int]
    """The last tokens evaluated."""
    document: Ngrams = field(factory=lambda: Ngrams(_DOCUMENT_RUNS))
    former: Ngrams = field(factory=lambda: Ngrams(_FORMER_RUNS))

    def draft(self, said: Sequence[int], room: int) -> tuple[int, ...]:
        """Tokens that may come after those just said, at most ``room``; none where there is no good guess."""
        self.document.extend(said)
        self.last = (*self.last, *said)[-max(_DOCUMENT_RUNS) :]
        count = min(self.speculator.decided.draft_tokens, room)
        if count < 1:
            return ()
        drafted = self.former.following(self.last, count) or self.document.following(self.last, count)
        return drafted if self.speculator.pays(len(drafted)) else ()

    def judged(self, drafted: Sequence[int], said: Sequence[int]) -> int:
        """Note what was said behind a draft; how many of its tokens came true."""
        accepted = sum(one == other for one, other in zip(drafted, said, strict=False))
        wrong = accepted < min(len(drafted), len(said))
        self.speculator.acceptance = self.speculator.acceptance.after(accepted, wrong=wrong)
        return accepted
