"""The repository memory as a request carries it, through the prompt, to where tokens are sampled."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from attrs import evolve, field, frozen

from fim_lsp.engine.memory.corpus import Positions, TokenCorpus


@frozen(eq=False)
class MemoryPart:
    """A corpus, without those of its files that must not vote."""

    corpus: TokenCorpus = field(repr=False)
    excluded: frozenset[str] = field(default=frozenset(), repr=False)
    """Paths; those that the corpus does not hold do no harm."""
    blocked: Positions = field(repr=False)
    """Ranges of positions that do not vote, those of the excluded files: begin and end, shape (files, 2)."""

    @blocked.default
    def _find_blocked(self) -> Positions:
        return self.corpus.ranges_of(self.excluded)

    @property
    def room(self) -> int:
        """Number of tokens of the files that may vote, and of the boundaries behind them."""
        corpus, left_out = self.corpus, self.blocked
        all_of_them = corpus.token_count + len(corpus.paths)
        return all_of_them - int((left_out[:, 1] - left_out[:, 0]).sum()) - len(left_out)

    def without(self, paths: Iterable[str]) -> MemoryPart:
        """Return the part with further files excluded."""
        # Thousands may be excluded already, after a branch switch; a request adds a few.
        added = frozenset(paths) - self.excluded
        blocked = np.concatenate([self.blocked, self.corpus.ranges_of(added)])
        return evolve(self, excluded=self.excluded | added, blocked=blocked)


@frozen(eq=False)
class RepositoryMemory:
    """The texts that may vote on the tokens of one request: other files, and the document at the cursor.

    The text that is being completed is in none of it: the document is given before and after the cursor, and
    its copies (on the disk, or in an older index) are excluded by their path.
    """

    before: str = field(default="", repr=False)
    """The document before the cursor, with LF line ends."""
    after: str = field(default="", repr=False)
    """The document after the cursor."""
    path: str = ""
    """The document's real path; empty for none."""
    parts: tuple[MemoryPart, ...] = field(default=(), repr=False)
    """Other files, the nearest first; together they count as one corpus."""
    unfinished: tuple[int, ...] = ()
    """Offsets in :attr:`before` and :attr:`after`, joined, where lines end that are still being typed."""
    first_line: int = 0
    """The line that :attr:`before` begins with, counted from 0: of a long document the end counts."""


CorpusSource = Callable[[str], tuple[MemoryPart, ...]]
"""From a document's real path to the corpora that are ready for it, nearest first. It must not wait."""


def no_corpora(path: str) -> tuple[MemoryPart, ...]:
    """Return no corpora: without an index of the workspace, only open documents vote."""
    return ()
