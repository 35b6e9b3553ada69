"""Another answer, where the first only said what stands around the cursor already.

A small model copies the next line now and then, or the last ones, instead of writing what is missing. The
second answer keeps what the first began with, up to the token that the model was least sure of, and goes
another way there: of all that it might have said besides, that is near the likeliest. The tokens before are
in the KV cache, so the second try costs what it says and no more.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, field, frozen

from fim_lsp.types import Prompt, SamplingParams, StreamedToken


@frozen
class Retry:
    """Where the second answer leaves the first; as it stands for the first itself, which leaves nothing."""

    kept: str = field(default="", repr=False)
    """What both begin with."""
    left: str = field(default="", repr=False)
    """What the first goes on with, and the second must not."""

    @classmethod
    def of(cls, pieces: Sequence[StreamedToken]) -> Retry:
        """From an answer that said something: at the least sure token of its first line that isn't blank."""
        text = "".join(piece.text for piece in pieces)
        blank = len(text) - len(text.lstrip())
        line_end = blank + len(text[blank:].partition("\n")[0])
        starts = [0]
        for piece in pieces[:-1]:
            starts.append(starts[-1] + len(piece.text))
        # A piece without text is part of a character or spells the healed word: the text can't be cut there.
        whole = [at for at, piece in enumerate(pieces) if piece.text and starts[at] < line_end]
        start = starts[min(whole, key=lambda at: pieces[at].probability, default=0)]
        return cls(text[:start], text[start:])

    def prompt(self, first: Prompt) -> Prompt:
        """The prompt of the second answer: the first one's, and what is kept."""
        return evolve(first, tail=first.tail + self.kept, heal=first.heal and not self.kept)

    def sampling(self, first: SamplingParams) -> SamplingParams:
        """How the second answer is sampled."""
        return evolve(first, excluded_prefix=self.left)
