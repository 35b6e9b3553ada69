"""The repository memory at work: prepared once for a prompt, then one stream for each generation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import define, evolve, field, frozen

from fim_lsp.engine.memory.chunks import ChunkEncoder
from fim_lsp.engine.memory.corpus import TokenCorpus, TokenizedFile
from fim_lsp.engine.memory.gate import Gate, next_record
from fim_lsp.engine.memory.matches import Matches, Voters, last_tokens
from fim_lsp.engine.memory.mixture import LogitRow, MixedRow, mix
from fim_lsp.engine.memory.request import MemoryPart, RepositoryMemory
from fim_lsp.engine.memory.tally import Tally

LineBreaks = npt.NDArray[np.int64]
_LEAST_DRAFT_DEPTH = 8
"""Length of a match whose continuation is drafted: from there on 82% were right (docs/decisions/024)."""


@frozen(eq=False)
class MemoryIndex:
    """The corpora of one prompt, the document's own among them, and the context to match them with."""

    parts: tuple[MemoryPart, ...] = field(repr=False)
    """The document first, its two halves as two files."""
    context: tuple[int, ...] = field(repr=False)
    """The last tokens before the cursor."""
    gate: Gate = field(factory=Gate)
    line_breaks: LineBreaks = field(factory=lambda: np.empty(0, np.int64), repr=False)
    """Number of line breaks in each token of the vocabulary."""
    half_lines: tuple[int, ...] = (0, 0)
    """The line that each half of the document begins with, counted from 0."""

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
        before = chunks.encode(text)
        cursor_line = memory.first_line + memory.before.count("\n")
        halves = ((before, memory.first_line), (chunks.encode(memory.after), cursor_line))
        kept = [(tokens, line) for tokens, line in halves if tokens.size]
        document = TokenCorpus.build([TokenizedFile(memory.path, "", tokens) for tokens, _ in kept])
        return cls(
            (MemoryPart(document), *memory.parts),
            last_tokens(before),
            gate,
            np.empty(0, np.int64) if line_breaks is None else line_breaks,
            tuple(line for _, line in kept),
        )

    def locate(self, part: int, position: int) -> tuple[str, int]:
        """Return path and line, counted from 0, of a position in the corpus of a part."""
        corpus = self.parts[part].corpus
        index = corpus.index_at(position)
        line = corpus.line_at(position, self.line_breaks) if self.line_breaks.size else 0
        return corpus.paths[index], line + (self.half_lines[index] if part == 0 else 0)

    def begin(self) -> MemoryStream:
        """Follow one generation from the cursor."""
        return MemoryStream(self, Matches.of(self.parts, self.context))


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
