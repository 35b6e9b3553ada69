"""Collect what a gate is fitted on: at each token of true middles, the model's distribution and the votes.

The middles are evaluated with teacher forcing: each token behind the true ones before it. What was seen at
each hole is kept in a file of its own: a run can be interrupted, and features can be tried without the model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen

from fim_lsp.engine.memory import ChunkEncoder, MemoryPart, RepositoryMemory, TokenCorpus, TokenizedFile
from fim_lsp.engine.memory.gate import Gate
from fim_lsp.engine.memory.matches import Voters
from fim_lsp.engine.memory.stream import MemoryIndex
from fim_lsp.files import atomic_write
from fim_lsp.prompt.builder import build
from fim_lsp.prompt.window import visible
from fim_lsp.settings import PromptSettings
from fim_lsp.types import AppliedAdapter, CompletionRequest, DocumentSnapshot, FimTemplate

if TYPE_CHECKING:
    from fim_lsp.engine.base import Engine
    from training.data.screening import SourceFile
    from training.evaluate.infilling import EvaluationHole

PROMPT_TOKENS = (256, 384, 640)
"""Lengths of the prompts, in turn: the model's confidence depends on what it sees, and the gate on that."""
SHARPENED = 2.0
"""Factor of the logits that stands for a more confident model: a temperature of 0.5."""
SURER = 0.6
"""Probability that the imagined surer model moves to the true token."""
_LONGEST_MIDDLE = 48
"""Tokens of a middle that are scored."""

_CONTEXT = 1024

Floats = npt.NDArray[np.float64]


@frozen(eq=False)
class ModelStep:
    """One model's probabilities at a token of a true middle, all as logarithms."""

    target: float
    """For the true token."""
    highest: float
    """For the likeliest token."""
    entropy: float
    """Of the whole distribution, in nats."""
    voted: Floats = field(repr=False)
    """For the tokens that are voted for, ascending by token, shape (tokens,)."""

    @classmethod
    def of(cls, logits: Floats, target: int, voted: npt.NDArray[np.int64]) -> ModelStep:
        """Take what is needed from a row of logits."""
        logs = logits - logits.max()
        logs -= np.log(np.exp(logs).sum())
        return cls(float(logs[target]), float(logs.max()), float(-(np.exp(logs) * logs).sum()), logs[voted])


@frozen(eq=False)
class Step:
    """One token of a true middle."""

    target: int
    model: ModelStep
    sharpened: ModelStep
    """The same model with its logits multiplied by :data:`SHARPENED`."""
    voters: Voters | None

    def surer(self) -> ModelStep:
        """Return what a surer model might give: :data:`SURER` to the truth, and the rest as this model.

        Larger models are surer, and more often right. A gate that is fitted beside this one, too, learns how
        little the votes can add there.
        """
        model, rest = self.model, math.log1p(-SURER)
        target = math.log(SURER + math.exp(model.target + rest))
        voted = model.voted + rest
        if self.voters is not None:
            voted[np.unique(self.voters.tokens) == self.target] = target
        return ModelStep(target, max(target, model.highest + rest), model.entropy, voted)


@frozen(eq=False)
class HoleSteps:
    """The tokens of one true middle."""

    repository: str
    steps: tuple[Step, ...] = field(repr=False)


@frozen(eq=False)
class Collector:
    """Teacher forcing with one model."""

    engine: Engine
    template: FimTemplate | None
    adapters: tuple[AppliedAdapter, ...] = ()

    def collect(
        self,
        files: Sequence[SourceFile],
        holes: Sequence[EvaluationHole],
        folder: Path,
        on_done: Callable[[], None] = lambda: None,
    ) -> None:
        """Write a record for each hole that has none yet.

        Args:
            files: All files of the repository.
            holes: Holes in them.
            folder: Where the records are kept.
            on_done: Called after each hole.
        """
        folder.mkdir(parents=True, exist_ok=True)
        chunks = ChunkEncoder(self.engine.tokenizer.encode)
        corpus = TokenCorpus.build(
            TokenizedFile(file.path, chunks.encode(visible(file.text))) for file in files
        )
        for number, hole in enumerate(holes):
            record = folder / f"{hole.digest}.npz"
            if not record.exists():
                steps = self._steps(hole, corpus, chunks, PROMPT_TOKENS[number % len(PROMPT_TOKENS)])
                _write(record, steps)
            on_done()

    def _steps(
        self, hole: EvaluationHole, corpus: TokenCorpus, chunks: ChunkEncoder, budget: int
    ) -> list[Step]:
        """Evaluate a hole's middle; no steps for one that is empty or does not fit."""
        engine = self.engine
        document = DocumentSnapshot(f"file:///{hole.path}", hole.language, 1, hole.prefix + hole.suffix)
        request = CompletionRequest(document, len(hole.prefix))
        prompt = build(request, self.template, engine.tokenizer, PromptSettings(max_tokens=budget))
        head = (*prompt.head, *(engine.tokenizer.encode(prompt.tail) if prompt.tail else ()))
        middle = engine.tokenizer.encode(visible(hole.middle))[:_LONGEST_MIDDLE]
        if not head or not middle or len(head) + len(middle) > engine.info.context:
            return []
        others = MemoryPart(corpus, frozenset({hole.path}))
        memory = RepositoryMemory(visible(hole.prefix), visible(hole.suffix), hole.path, (others,))
        matches = MemoryIndex.of(memory, chunks, Gate()).begin().matches
        forced = evolve(prompt, head=(*head, *middle[:-1]), tail="", adapters=self.adapters)
        steps = []
        for row, target in zip(engine.logits(forced, rows=len(middle)), middle, strict=True):
            logits, voters = row.astype(np.float64), matches.voters()
            voted = np.unique(voters.tokens) if voters is not None else np.empty(0, np.int64)
            model = ModelStep.of(logits, target, voted)
            steps.append(Step(target, model, ModelStep.of(logits * SHARPENED, target, voted), voters))
            matches.advance(target)
        return steps


@contextmanager
def open_collector(
    model: str, adapter: Path | None = None, threads: int | None = None
) -> Iterator[Collector]:
    """Open a model, with a LoRA if one is given, to collect with.

    Raises:
        FimLspError: the model or the adapter can't be opened.
    """
    from fim_lsp.engine_factory import open_engine
    from fim_lsp.prompt.templates import choose_template
    from fim_lsp.settings import ModelSettings

    settings = ModelSettings(
        name=model, context_tokens=_CONTEXT, threads=threads, sequences=1, speculation="off", kv_state_mb=0
    )
    engine = open_engine(settings, lambda _: True)
    try:
        template = choose_template(engine.info, engine.tokenizer, None).template
        adapters = () if adapter is None else (AppliedAdapter(adapter.resolve()),)
        yield Collector(engine, template, adapters)
    finally:
        engine.close()


def load_records(folder: Path) -> Iterator[HoleSteps]:
    """Yield the records of a folder, which is named after its repository."""
    for record in sorted(folder.glob("*.npz")):
        with np.load(record) as arrays:
            steps = tuple(_read(dict(arrays)))
        if steps:
            yield HoleSteps(folder.name, steps)


def _write(record: Path, steps: Sequence[Step]) -> None:
    """Write steps as arrays: numbers of each step, and what votes at all of them one behind the other."""
    whole = np.empty(0, np.int64)
    none = Voters(whole, np.empty(0, np.uint8), np.empty(0, np.intp), whole, 0)
    voters = [step.voters or none for step in steps]
    numbers = [
        (
            step.target,
            votes.matching,
            len(votes.tokens),
            len(step.model.voted),
            *(value for model in (step.model, step.sharpened) for value in _numbers(model)),
        )
        for step, votes in zip(steps, voters, strict=True)
    ]

    def joined(parts: list[Any], kind: type) -> npt.NDArray[Any]:
        return np.concatenate(parts).astype(kind) if parts else np.empty(0, kind)

    with atomic_write(record) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file,
            numbers=np.array(numbers, np.float64),
            tokens=joined([votes.tokens for votes in voters], np.int32),
            depths=joined([votes.depths for votes in voters], np.uint8),
            parts=joined([votes.parts for votes in voters], np.uint8),
            positions=joined([votes.positions for votes in voters], np.int32),
            voted=joined([step.model.voted for step in steps], np.float32),
            sharpened=joined([step.sharpened.voted for step in steps], np.float32),
        )


def _numbers(model: ModelStep) -> tuple[float, float, float]:
    return model.target, model.highest, model.entropy


def _read(arrays: dict[str, Any]) -> Iterator[Step]:
    voter = voted = 0
    for row in arrays["numbers"]:
        target, matching, voters, tokens = map(int, row[:4])
        places, own = slice(voter, voter + voters), slice(voted, voted + tokens)
        voter, voted = places.stop, own.stop
        yield Step(
            target,
            ModelStep(row[4], row[5], row[6], arrays["voted"][own].astype(np.float64)),
            ModelStep(row[7], row[8], row[9], arrays["sharpened"][own].astype(np.float64)),
            Voters(
                arrays["tokens"][places].astype(np.int64),
                arrays["depths"][places],
                arrays["parts"][places].astype(np.intp),
                arrays["positions"][places].astype(np.int64),
                matching,
            )
            if voters
            else None,
        )
