"""Collect what a gate is fitted on: at each token of true middles, the model's distribution and the votes.

The middles are evaluated with teacher forcing: each token behind the true ones before it. What was seen at
each hole is kept in a file of its own: a run can be interrupted, and features can be tried without the model.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen

from fim_lsp.engine.memory import ChunkEncoder, MemoryPart, RepositoryMemory, TokenCorpus, TokenizedFile
from fim_lsp.engine.memory.gate import Gate
from fim_lsp.engine.memory.stream import MemoryIndex
from fim_lsp.prompt.builder import build
from fim_lsp.prompt.window import visible
from fim_lsp.settings import PromptSettings
from fim_lsp.types import CompletionRequest, DocumentSnapshot, FimTemplate

if TYPE_CHECKING:
    from fim_lsp.engine.base import Engine
    from fim_lsp.engine.memory.matches import Matches
    from training.data.screening import SourceFile
    from training.evaluate.infilling import EvaluationHole

PROMPT_TOKENS = (256, 384, 640)
"""Lengths of the prompts, in turn: the model's confidence depends on what it sees, and the gate on that."""
_LONGEST_MIDDLE = 48
"""Tokens of a middle that are scored."""
_DOCUMENT_BEFORE, _DOCUMENT_AFTER, _SAME_FOLDER, _ELSEWHERE = range(4)


@frozen(eq=False)
class Step:
    """One token of a true middle, what the model gives it, and the places that vote."""

    target: int
    target_log: float
    """Logarithm of the model's probability for it."""
    top: int
    """The model's likeliest token."""
    top_log: float
    entropy: float
    """Of the model's distribution, in nats."""
    end_log: float
    """Logarithm of the model's probability for an end."""
    voted: npt.NDArray[np.int64] = field(repr=False)
    """The tokens that are voted for, ascending, shape (tokens,)."""
    voted_logs: npt.NDArray[np.float32] = field(repr=False)
    """Logarithm of the model's probability for each, shape (tokens,)."""
    tokens: npt.NDArray[np.int64] = field(repr=False)
    """The vote of each place, shape (voters,)."""
    depths: npt.NDArray[np.uint8] = field(repr=False)
    places: npt.NDArray[np.uint8] = field(repr=False)
    """Where each place is: before the cursor, behind it, in a file of the same folder, or elsewhere."""
    files: npt.NDArray[np.int32] = field(repr=False)
    """A number for the file of each place."""
    matching: int
    context: tuple[int, ...] = field(repr=False)
    """The last tokens."""
    sharp: tuple[float, float, float, npt.NDArray[np.float32]] | None = field(default=None, repr=False)
    """Of a model with the same logits at temperature 0.5: logarithms for the target and the likeliest token,
    entropy, logarithms for the voted tokens."""


@frozen(eq=False)
class HoleSteps:
    """The tokens of one middle."""

    repository: str
    name: str
    prompt_tokens: int
    steps: tuple[Step, ...] = field(repr=False)


def collect(
    engine: Engine,
    template: FimTemplate | None,
    files: Sequence[SourceFile],
    holes: Sequence[EvaluationHole],
    folder: Path,
    on_done: Callable[[], None] = lambda: None,
) -> None:
    """Write a record for each hole that has none yet.

    Args:
        engine: The model.
        template: Its FIM template.
        files: All files of the repository.
        holes: Holes in them.
        folder: Where the records are kept.
        on_done: Called after each hole.
    """
    chunks = ChunkEncoder(engine.tokenizer.encode)
    tokenized = (TokenizedFile(file.path, file.language, chunks.encode(visible(file.text))) for file in files)
    corpus = TokenCorpus.build(tokenized)
    for number, hole in enumerate(holes):
        record = folder / f"{hole.digest}.pickle"
        if not record.exists():
            budget = PROMPT_TOKENS[number % len(PROMPT_TOKENS)]
            found = _collect_hole(engine, template, hole, corpus, chunks, budget)
            partial = record.with_suffix(".partial")
            partial.write_bytes(pickle.dumps(found))
            os.replace(partial, record)
        on_done()


def load_records(folder: Path) -> Iterator[HoleSteps]:
    """Yield the records of a folder."""
    for record in sorted(folder.glob("*.pickle")):
        found = pickle.loads(record.read_bytes())
        if found.steps:
            yield found


def _collect_hole(
    engine: Engine,
    template: FimTemplate | None,
    hole: EvaluationHole,
    corpus: TokenCorpus,
    chunks: ChunkEncoder,
    budget: int,
) -> HoleSteps:
    document = DocumentSnapshot(f"file:///{hole.path}", hole.language, 1, hole.prefix + hole.suffix)
    request = CompletionRequest(document, len(hole.prefix))
    prompt = build(request, template, engine.tokenizer, PromptSettings(max_tokens=budget))
    head = (*prompt.head, *(engine.tokenizer.encode(prompt.tail) if prompt.tail else ()))
    middle = engine.tokenizer.encode(visible(hole.middle))[:_LONGEST_MIDDLE]
    if not middle or len(head) + len(middle) > engine.info.context:
        return HoleSteps(hole.set, hole.name, len(head), ())
    memory = RepositoryMemory(
        visible(hole.prefix), visible(hole.suffix), hole.path, (MemoryPart(corpus, frozenset({hole.path})),)
    )
    index = MemoryIndex.of(memory, chunks, Gate())
    matches = index.begin().matches
    ends = sorted(engine.info.end_ids | prompt.stop_ids)
    rows = engine.logits(evolve(prompt, head=(*head, *middle[:-1]), tail=""), rows=len(middle))
    steps = []
    for row, target in zip(rows, middle, strict=True):
        steps.append(_step(row.astype(np.float64), target, matches, index, ends))
        matches.advance(target)
    return HoleSteps(hole.set, hole.name, len(head), tuple(steps))


def _step(
    logits: npt.NDArray[np.float64], target: int, matches: Matches, index: MemoryIndex, ends: Sequence[int]
) -> Step:
    logs = _log_softmax(logits)
    sharp = _log_softmax(logits * 2)
    voters = matches.voters()
    tokens = voters.tokens if voters else np.empty(0, np.int64)
    voted = np.unique(tokens)
    files, places = _places(voters, index)
    return Step(
        target,
        float(logs[target]),
        int(logs.argmax()),
        float(logs.max()),
        _entropy(logs),
        float(np.log(np.exp(logs[ends]).sum())),
        voted,
        logs[voted].astype(np.float32),
        tokens,
        voters.depths if voters else np.empty(0, np.uint8),
        places,
        files,
        voters.matching if voters else 0,
        matches.context,
        (float(sharp[target]), float(sharp.max()), _entropy(sharp), sharp[voted].astype(np.float32)),
    )


def _places(voters, index: MemoryIndex):  # type: ignore[no-untyped-def]
    if voters is None:
        return np.empty(0, np.int32), np.empty(0, np.uint8)
    here = PurePosixPath(index.parts[0].corpus.files[0].path if index.parts[0].corpus.files else "").parent
    files = np.zeros(len(voters.tokens), np.int32)
    places = np.zeros(len(voters.tokens), np.uint8)
    for number, part in enumerate(index.parts):
        own = voters.parts == number
        found = part.corpus.starts.searchsorted(voters.positions[own], side="right") - 1
        files[own] = found + 1000 * number
        if number:
            near = np.array([PurePosixPath(file.path).parent == here for file in part.corpus.files])
            places[own] = np.where(near[found], _SAME_FOLDER, _ELSEWHERE)
        else:
            behind = np.array([file.start > 16 or len(part.corpus.files) == 1 for file in part.corpus.files])
            places[own] = np.where(behind[found], _DOCUMENT_AFTER, _DOCUMENT_BEFORE)
    return files, places


def _log_softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    logs: npt.NDArray[np.float64] = logits - logits.max()
    return logs - float(np.log(np.exp(logs).sum()))


def _entropy(logs: npt.NDArray[np.float64]) -> float:
    return float(-(np.exp(logs) * logs).sum())
