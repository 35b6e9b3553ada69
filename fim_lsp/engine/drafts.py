"""Drafts that cost nothing: what followed the last time that the same few tokens stood somewhere.

Code repeats itself: names, calls and whole lines of a file come again, and a suggestion that was dropped on
the way is most often right from the next word on (prompt lookup decoding, after Saxena, 2023). Pure
bookkeeping of token ids; whether a draft came true is for the model to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import define, field


@define
class Ngrams:
    """Tokens, and for each run of a few of them what came after its latest occurrence."""

    lengths: tuple[int, ...]
    """How many tokens a run has; the first that is found wins, so longest first."""
    _tokens: list[int] = field(factory=list, init=False, repr=False)
    _after: dict[tuple[int, ...], int] = field(factory=dict, init=False, repr=False)
    """Index of the token behind the latest occurrence of each run."""

    def extend(self, tokens: Iterable[int]) -> None:
        """Go on with these tokens."""
        for token in tokens:
            for length in self.lengths:
                if len(self._tokens) >= length:
                    self._after[tuple(self._tokens[-length:])] = len(self._tokens)
            self._tokens.append(token)

    def following(self, last: Sequence[int], count: int) -> tuple[int, ...]:
        """Up to ``count`` tokens that came after the latest run that ``last`` ends in; none if it is new."""
        for length in self.lengths:
            if len(last) >= length and (at := self._after.get(tuple(last[-length:]))) is not None:
                return tuple(self._tokens[at : at + count])
        return ()
