"""Another answer, where the first one only repeats what stands around the cursor.

A small model copies the next line now and then, or the last ones, instead of writing what is missing. The
second answer begins as the first did, up to the token with the lowest probability, and takes another token
there: one of those that were nearly as likely. The tokens before it are in the KV cache, so a retry costs
its own tokens and no more.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, field, frozen

from fim_lsp.types import Prompt, SamplingParams, StreamedToken


@frozen
class Retry:
    """The point where the second answer parts from the first."""

    kept: str = field(repr=False)
    """The text that both begin with."""
    excluded: str = field(repr=False)
    """The text that the first goes on with, and the second must not."""

    @classmethod
    def of(cls, tokens: Sequence[StreamedToken]) -> Retry:
        """Part from an answer at the least likely token of its first line that isn't blank.

        Example: of ``return total`` with an unlikely ``total`` the second answer keeps ``return ``.
        """
        text = "".join(token.text for token in tokens)
        blank = len(text) - len(text.lstrip())
        line_end = blank + len(text[blank:].partition("\n")[0])
        starts = [0]
        for token in tokens[:-1]:
            starts.append(starts[-1] + len(token.text))
        # A token without text is part of a character or spells the healed word: no cut is possible there.
        whole = [index for index, token in enumerate(tokens) if token.text and starts[index] < line_end]
        start = starts[min(whole, key=lambda index: tokens[index].probability, default=0)]
        return cls(text[:start], text[start:])

    def prompt(self, first: Prompt) -> Prompt:
        """Return the first answer's prompt, continued by the kept text."""
        return evolve(first, tail=first.tail + self.kept, heal=first.heal and not self.kept)

    def sampling(self, first: SamplingParams) -> SamplingParams:
        """Return the first answer's sampling, without the excluded text."""
        return evolve(first, excluded_prefix=self.excluded)
