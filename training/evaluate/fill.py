"""Let an arm fill holes through the server's own pipeline: worker, completer, engine.

What the server does with a keystroke it does here with a hole: greedy, with the token limit as its only hint
of the middle's length, and with a trigger, which decides where several lines may come. Answers go to the
journal one by one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from attrs import frozen

from fim_lsp.types import CompletionRequest, DocumentSnapshot, Trigger
from training.evaluate.arms import Arm
from training.evaluate.infilling import EvaluationHole
from training.evaluate.nll import EngineScorer, Score, middle_score, plain_score
from training.evaluate.records import AnswerRecord, ResultJournal
from training.evaluate.weights import Models

if TYPE_CHECKING:
    from fim_lsp.completion.completer import Completer
    from fim_lsp.engine.worker import InferenceWorker
    from training.evaluate.nll import FolderScorer, Scorer
    from training.evaluate.overrun import OverrunEngine

OnDone = Callable[[], None]
"""Called after each hole."""
_ANSWER_CODE = ("code", "completion", "engine", "prompt", "gguf_keys.py", "settings.py", "types.py")
_JUDGING_CODE = ("nll.py", "fill.py", "overrun.py")


@frozen
class FillOptions:
    """What holds for every arm and every hole."""

    max_tokens: int = 256
    """Longest answer."""
    overrun: int = 48
    """Tokens that a model may go on for, once the server has heard enough, to end by itself."""
    nll: bool = False
    """Score the true middles too."""
    older_answers: bool = False
    """Take answers from before a change of the code."""


def record_key(arm: Arm, model_digest: str, hole: EvaluationHole, conditions: FillOptions) -> str:
    """Names everything that an answer depends on, but for the code."""
    limits = f"{conditions.max_tokens} {conditions.overrun}"
    parts = (arm.identity(model_digest), hole.digest, limits)
    return sha256("\0".join(parts).encode()).hexdigest()[:24]


@cache
def _code_digest() -> str:
    """Of the code that makes answers: results from before a change of a filter would be a trap."""
    import fim_lsp

    package = Path(fim_lsp.__file__).parent
    files = [path for name in _ANSWER_CODE for path in (package / name, *(package / name).rglob("*.py"))]
    files += [Path(__file__).with_name(name) for name in _JUDGING_CODE]
    digest = sha256()
    for path in sorted(path for path in files if path.is_file()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def fill(
    arm: Arm,
    holes: Sequence[EvaluationHole],
    conditions: FillOptions,
    journal: ResultJournal,
    models: Models,
    on_done: OnDone = lambda: None,
) -> tuple[AnswerRecord, ...]:
    """Answer every hole that the journal does not answer yet.

    Returns:
        A record for each hole, in order.

    Raises:
        FimLspError: the model can't be opened, or the journal can't be written. What goes wrong at a single
            hole is its record's ``error``.
    """
    digest = models.digest(arm)
    keys = [record_key(arm, digest, hole, conditions) for hole in holes]
    known = {key: record for key in keys if (record := _usable(journal, key, conditions))}
    pending = [(key, hole) for key, hole in zip(keys, holes, strict=True) if key not in known]
    for _ in range(len(holes) - len(pending)):
        on_done()
    if pending:
        work = _score_in_folder if arm.is_folder else _serve
        for record in work(arm, pending, conditions, journal, models, on_done):
            known[record.key] = record
    return tuple(known[key] for key in keys)


def _usable(journal: ResultJournal, key: str, conditions: FillOptions) -> AnswerRecord | None:
    record = journal.record(key)
    if record is None or (conditions.nll and not record.scored):
        return None
    return record if conditions.older_answers or record.code == _code_digest() else None


Pending = Sequence[tuple[str, EvaluationHole]]


def _serve(
    arm: Arm,
    pending: Pending,
    conditions: FillOptions,
    journal: ResultJournal,
    models: Models,
    on_done: OnDone,
) -> list[AnswerRecord]:
    return asyncio.run(_serve_all(arm, pending, conditions, journal, models, on_done))


async def _serve_all(
    arm: Arm,
    pending: Pending,
    conditions: FillOptions,
    journal: ResultJournal,
    models: Models,
    on_done: OnDone,
) -> list[AnswerRecord]:
    from fim_lsp.completion.completer import Completer
    from fim_lsp.engine.worker import InferenceWorker
    from training.evaluate.overrun import OverrunEngine

    def open_witness(*_: object) -> OverrunEngine:
        engine = models.open(arm)
        # Without the suffix nothing tells where the middle ends, so there is no end to wait for.
        overrun = 0 if arm.prefix_only else conditions.overrun
        return OverrunEngine(engine, overrun, EngineScorer(engine) if conditions.nll else None)

    worker = InferenceWorker(open_witness)
    completer = Completer(worker)
    try:
        await _load(worker, completer, arm)
        records = []
        for key, hole in pending:
            record = await _fill_one(key, hole, arm, conditions, worker, completer)
            journal.add(record)
            records.append(record)
            on_done()
        return records
    finally:
        await worker.close()


async def _load(worker: InferenceWorker, completer: Completer, arm: Arm) -> None:
    settings = arm.settings(1)
    engine = await worker.load(settings.model, lambda _: None)
    completer.model_changed(engine, settings)


async def _fill_one(
    key: str,
    hole: EvaluationHole,
    arm: Arm,
    conditions: FillOptions,
    worker: InferenceWorker,
    completer: Completer,
) -> AnswerRecord:
    from fim_lsp.engine.base import EngineError

    witness: OverrunEngine = worker.engine  # type: ignore[assignment]
    witness.middle, witness.seen = hole.middle, None
    settings = arm.settings(conditions.max_tokens, single_line=hole.lines == 1)
    request = request_for(hole, arm.trigger)
    # An anchor from the hole before would put this one in another's prompt.
    completer.closed(request.document.uri)
    started = time.perf_counter()
    try:
        answer = await completer.complete(request, settings)
    except EngineError as error:
        return _failed(key, str(error), conditions)
    elapsed_ms = (time.perf_counter() - started) * 1000
    seen, completion, explanation = witness.seen, answer.completion, answer.explanation
    if seen is None:
        return _failed(key, "The server asked for nothing.", conditions)
    score = seen.score
    return AnswerRecord(
        key=key,
        written=seen.written,
        said=explanation.generated,
        shown=completion.text if completion else "",
        replaced=completion.replace_suffix_chars if completion else 0,
        finish=seen.finish.value,
        ended_by=explanation.ended_by,
        template=explanation.template,
        first_ms=round((seen.first_piece_at - started) * 1000, 2),
        shown_ms=round(elapsed_ms - seen.idle_ms, 2),
        evaluated=explanation.timings.evaluated_tokens,
        generated=explanation.timings.generated_tokens,
        scored=conditions.nll,
        nll_text=score.text if score else None,
        nll_end=score.end if score else None,
        nll_tokens=score.tokens if score else 0,
        code=_code_digest(),
    )


def _failed(key: str, error: str, conditions: FillOptions) -> AnswerRecord:
    return AnswerRecord(key, "", "", "", error=error, scored=conditions.nll, code=_code_digest())


def request_for(hole: EvaluationHole, trigger: Trigger) -> CompletionRequest:
    """The request of an editor whose cursor is in the hole."""
    uri = f"file:///{quote(hole.path)}"
    document = DocumentSnapshot(uri, hole.language, 1, hole.prefix + hole.suffix)
    return CompletionRequest(document, len(hole.prefix), trigger)


# --- Folders of safetensors, which the server can't open


def _score_in_folder(
    arm: Arm, pending: Pending, conditions: FillOptions, journal: ResultJournal, _: Models, on_done: OnDone
) -> list[AnswerRecord]:
    from fim_lsp.prompt.builder import build
    from training.bases import open_base

    settings = arm.settings(conditions.max_tokens)
    base = open_base(Path(arm.model).expanduser(), settings.model.template)
    template = None if arm.prefix_only else base.template
    scorer = _open_folder(arm) if conditions.nll else None
    records = []
    for key, hole in pending:
        prompt = build(request_for(hole, arm.trigger), template, base.tokenizer, settings.prompt)
        score = middle_score(prompt, hole.middle, scorer) if scorer else None
        record = _scored_only(key, prompt.template, score, conditions)
        journal.add(record)
        records.append(record)
        on_done()
    return records


def _open_folder(arm: Arm) -> FolderScorer:
    from training.bases import open_base
    from training.evaluate.nll import FolderScorer

    folder = Path(arm.model).expanduser()
    base = open_base(folder, arm.settings(1).model.template)
    return FolderScorer.open(folder, base.tokenizer, base.end)


def _scored_only(key: str, template: str, score: Score | None, conditions: FillOptions) -> AnswerRecord:
    if score is None:
        return AnswerRecord(key, template=template, scored=conditions.nll, code=_code_digest())
    return AnswerRecord(
        key,
        template=template,
        scored=True,
        nll_text=score.text,
        nll_end=score.end,
        nll_tokens=score.tokens,
        code=_code_digest(),
    )


# --- Plain text, left to right


def score_texts(
    arm: Arm, texts: Sequence[str], journal: ResultJournal, models: Models, on_done: OnDone = lambda: None
) -> tuple[tuple[float, float], ...]:
    """Score plain texts left to right with an arm's model: each text's NLL in nats, and its tokens."""
    digest = models.digest(arm)
    keys = [sha256(f"{digest}\0{_code_digest()}\0{text}".encode()).hexdigest()[:24] for text in texts]
    missing = [(key, text) for key, text in zip(keys, texts, strict=True) if journal.get(key) is None]
    if missing:
        engine = None if arm.is_folder else models.open(arm)
        scorer: Scorer = _open_folder(arm) if engine is None else EngineScorer(engine)
        try:
            for key, text in missing:
                score = plain_score(text, scorer)
                journal.add({"key": key, "nll": score.text, "tokens": score.tokens})
                on_done()
        finally:
            if engine is not None:
                engine.close()
    found = (journal.get(key) for key in keys)
    return tuple((entry["nll"], entry["tokens"]) for entry in found if entry)
