"""The repository memory at work: prepared once for a prompt, then one stream for each generation."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from attrs import define, evolve, field, frozen

from fim_lsp.engine.memory.chunks import ChunkEncoder
from fim_lsp.engine.memory.corpus import TokenCorpus, TokenizedFile
from fim_lsp.engine.memory.gate import Gate, next_record
from fim_lsp.engine.memory.matches import Matches, Voters, last_tokens
from fim_lsp.engine.memory.mixture import LogitRow, MixedRow, mix
from fim_lsp.engine.memory.pieces import cut_unfinished
from fim_lsp.engine.memory.request import MemoryPart, RepositoryMemory
from fim_lsp.engine.memory.tally import Tally

LineBreaks = npt.NDArray[np.int64]
_LEAST_DRAFT_DEPTH = 8
"""Length of a match whose continuation is drafted: from there on 82% were right (docs/decisions/024)."""


@frozen(eq=False)
class MemoryIndex:
    """The corpora of one prompt, the document's own among them, and the context to match them with."""

    parts: tuple[MemoryPart, ...] = field(repr=False)
    """The document first: its two halves, each cut where a line is unfinished, as files of their own."""
    context: tuple[int, ...] = field(repr=False)
    """The last tokens before the cursor."""
    gate: Gate = field(factory=Gate)
    line_breaks: LineBreaks = field(factory=lambda: np.empty(0, np.int64), repr=False)
    """Number of line breaks in each token of the vocabulary."""

    @classmethod
    def of(
        cls,
        memory: RepositoryMemory,
        chunks: ChunkEncoder,
        gate: Gate,
        healing: bytes = b"",
        line_breaks: LineBreaks | None = None,
    ) -> MemoryIndex:
        """Index the document and find the context.

        Args:
            memory: What may vote.
            chunks: The model's tokenizer.
            gate: Weighs the votes.
            healing: Bytes at the end of the text before the cursor that the generation spells again. They
                would vote for an end of the word where the cursor is.
            line_breaks: Number of line breaks in each token, shape (vocabulary,); to name places by line.
        """
        text = memory.before
        if healing:
            text = text.encode("utf-8", "replace")[: -len(healing)].decode("utf-8", "ignore")
        cursor, line = len(memory.before), memory.first_line
        cursor_line = line + memory.before.count("\n")
        behind = [place - cursor for place in memory.unfinished]
        above = _pieces(memory.path, text, memory.unfinished, line, chunks)
        below = _pieces(memory.path, memory.after, behind, cursor_line, chunks)
        return cls(
            (MemoryPart(TokenCorpus.build([*above, *below])), *memory.parts),
            last_tokens(above[0].tokens if len(above) == 1 else chunks.encode(text)),
            gate,
            np.empty(0, np.int64) if line_breaks is None else line_breaks,
        )

    def locate(self, part: int, position: int) -> tuple[str, int]:
        """Return path and line, counted from 0, of a position in the corpus of a part."""
        corpus = self.parts[part].corpus
        line = corpus.line_at(position, self.line_breaks) if self.line_breaks.size else 0
        return corpus.paths[corpus.index_at(position)], line

    def begin(self) -> MemoryStream:
        """Follow one generation from the cursor."""
        return MemoryStream(self, Matches.of(self.parts, self.context))


def _pieces(
    path: str, text: str, unfinished: Iterable[int], line: int, chunks: ChunkEncoder
) -> list[TokenizedFile]:
    """Tokenise a half of the document, which begins with ``line``, cut at its unfinished places."""
    return [
        TokenizedFile(path, chunks.encode(piece), first_line=line + first)
        for piece, first in cut_unfinished(text, unfinished)
    ]


@define(eq=False)
class MemoryStream:
    """The votes on one generation, token by token."""

    index: MemoryIndex
    matches: Matches
    _voters: Voters | None = None
    _row: MixedRow | None = None
    _record: float = 0.0
    """How much better the votes have been than the model since the cursor."""
    _models_choice: int | None = None
    """The token that the model alone would take; None if nothing votes."""
    _decided: list[str] = field(factory=list)
    _longest: tuple[int, int, int] = (0, 0, 0)
    """Depth, part and position of the longest match behind the tokens that were decided."""

    def mix(self, logits: LogitRow, allowed: npt.NDArray[np.int64] | None = None) -> MixedRow:
        """Return the mixture; the same row if nothing votes. See :func:`.mixture.mix`."""
        self._voters = self.matches.voters()
        self._models_choice = self._row = None
        if self._voters is None:
            return MixedRow(logits)
        choice = int((logits if allowed is None else logits[allowed]).argmax())
        self._models_choice = choice if allowed is None else int(allowed[choice])
        self._row = mix(logits, Tally.of(self._voters), self.index.gate, allowed, self._record)
        return self._row

    def advance(self, token: int, text: str = "") -> None:
        """Take up the token that was sampled, and the text that it added."""
        voters = self._voters
        if voters is not None and self._models_choice != token:
            agreeing = np.flatnonzero(voters.tokens == token)
            if agreeing.size:
                self._decided.append(text)
                deepest = agreeing[voters.depths[agreeing].argmax()]
                found = (
                    int(voters.depths[deepest]),
                    int(voters.parts[deepest]),
                    int(voters.positions[deepest]),
                )
                self._longest = max(self._longest, found, key=lambda match: match[0])
        self._record = next_record(self._record, self._row.lead(token) if self._row is not None else 0.0)
        self.matches.advance(token)
        self._voters = self._row = None

    @property
    def decided(self) -> tuple[str, ...]:
        """The text of each token that the model alone would not have taken."""
        return tuple(self._decided)

    def longest_match(self) -> tuple[str, int, int]:
        """Return path, line and length of the longest match behind those tokens; of no length for none."""
        depth, part, position = self._longest
        return (*self.index.locate(part, position), depth) if depth else ("", 0, 0)

    def draft(self, count: int) -> tuple[int, ...]:
        """Return up to ``count`` tokens behind the longest match, if that is long enough to be trusted."""
        return self.matches.continuation(count, _LEAST_DRAFT_DEPTH)

    def copy(self) -> MemoryStream:
        """Return a stream that goes its own way from here."""
        return evolve(self, matches=self.matches.copy(), decided=list(self._decided))
