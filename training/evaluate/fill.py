"""Let an arm fill holes with the server's own pipeline: worker, completer and engine.

A hole is treated as the server treats a keystroke: greedily, with a token limit as the only information on
the middle's length, and with a trigger, which decides where an answer may have several lines. Each answer is
written to the journal as soon as it is there.
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
Pending = Sequence[tuple[str, EvaluationHole]]
"""Holes without an answer, with the keys of their records."""
_ANSWER_CODE = ("code", "completion", "engine", "prompt", "settings.py", "types.py")
"""Files and folders of ``fim_lsp`` that an answer depends on."""
_SCORING_CODE = ("nll.py", "fill.py", "overrun.py")
"""Files of this folder that a record depends on."""


@frozen
class FillOptions:
    """Options that are the same for all arms and holes."""

    max_tokens: int = 256
    """Longest answer, in tokens."""
    overrun: int = 48
    """Tokens that a model may generate after the server's stop rules ended the answer, to end by itself."""
    nll: bool = False
    """Score the true middles too."""
    older_answers: bool = False
    """Accept answers from before a change of the code."""


@frozen
class _ArmRun:
    """The arguments of :func:`fill`, without the holes."""

    arm: Arm
    options: FillOptions
    journal: ResultJournal
    models: Models
    on_done: OnDone


def record_key(arm: Arm, model_digest: str, hole: EvaluationHole, options: FillOptions) -> str:
    """Hash everything that an answer depends on, except the code: 24 hexadecimal digits."""
    limits = f"{options.max_tokens} {options.overrun}"
    parts = (arm.identity(model_digest), hole.digest, limits)
    return sha256("\0".join(parts).encode()).hexdigest()[:24]


@cache
def _code_digest() -> str:
    """Hash the code that makes answers, so that none from before a change of a filter is used."""
    import fim_lsp

    package = Path(fim_lsp.__file__).parent
    files = [path for name in _ANSWER_CODE for path in (package / name, *(package / name).rglob("*.py"))]
    files += [Path(__file__).with_name(name) for name in _SCORING_CODE]
    digest = sha256()
    for path in sorted(path for path in files if path.is_file()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def fill(
    arm: Arm,
    holes: Sequence[EvaluationHole],
    options: FillOptions,
    journal: ResultJournal,
    models: Models,
    on_done: OnDone = lambda: None,
) -> tuple[AnswerRecord, ...]:
    """Let an arm fill every hole that has no answer in the journal yet.

    Returns:
        A record for each hole, in order.

    Raises:
        FimLspError: the model can't be opened, or the journal can't be written. An error at a single hole is
        in
            its record.
    """
    digest = models.digest(arm)
    keys = [record_key(arm, digest, hole, options) for hole in holes]
    records = {key: record for key in keys if (record := _usable(journal, key, options))}
    pending = [(key, hole) for key, hole in zip(keys, holes, strict=True) if key not in records]
    for _ in range(len(holes) - len(pending)):
        on_done()
    if pending:
        run = _ArmRun(arm, options, journal, models, on_done)
        found = _score_in_folder(run, pending) if arm.is_folder else asyncio.run(_serve(run, pending))
        records |= {record.key: record for record in found}
    return tuple(records[key] for key in keys)


def _usable(journal: ResultJournal, key: str, options: FillOptions) -> AnswerRecord | None:
    record = journal.record(key)
    if record is None or (options.nll and not record.scored):
        return None
    return record if options.older_answers or record.code == _code_digest() else None


async def _serve(run: _ArmRun, pending: Pending) -> list[AnswerRecord]:
    """Load the arm's model as the server does, and fill the holes one after the other."""
    from fim_lsp.completion.completer import Completer
    from fim_lsp.engine.worker import InferenceWorker
    from training.evaluate.overrun import OverrunEngine

    def open_engine(*_: object) -> OverrunEngine:
        engine = run.models.open(run.arm)
        # Without the suffix the model can't know where the middle ends, so its end is not waited for.
        overrun = 0 if run.arm.prefix_only else run.options.overrun
        return OverrunEngine(engine, overrun, EngineScorer(engine) if run.options.nll else None)

    worker = InferenceWorker(open_engine)
    completer = Completer(worker)
    try:
        settings = run.arm.settings(1)
        completer.model_changed(await worker.load(settings.model, lambda _: None), settings)
        records = []
        for key, hole in pending:
            record = await _fill_hole(key, hole, run, worker, completer)
            run.journal.add(record)
            records.append(record)
            run.on_done()
        return records
    finally:
        await worker.close()


async def _fill_hole(
    key: str, hole: EvaluationHole, run: _ArmRun, worker: InferenceWorker, completer: Completer
) -> AnswerRecord:
    from fim_lsp.engine.base import EngineError

    engine: OverrunEngine = worker.engine  # type: ignore[assignment]
    engine.middle, engine.observed = hole.middle, None
    settings = run.arm.settings(run.options.max_tokens, single_line=hole.lines == 1)
    request = request_for(hole, run.arm.trigger)
    # The anchor of the hole before must not be used for this one.
    completer.closed(request.document.uri)
    started = time.perf_counter()
    try:
        answer = await completer.complete(request, settings)
    except EngineError as error:
        return _failed(key, str(error), run.options)
    elapsed_ms = (time.perf_counter() - started) * 1000
    observed, completion, explanation = engine.observed, answer.completion, answer.explanation
    if observed is None:
        return _failed(key, "The server asked for nothing.", run.options)
    score = observed.score
    return AnswerRecord(
        key=key,
        written=observed.written,
        stopped=explanation.generated,
        shown=completion.text if completion else "",
        replaced=completion.replace_suffix_chars if completion else 0,
        finish=observed.finish.value,
        ended_by=explanation.ended_by,
        template=explanation.template,
        first_ms=round((observed.first_token_s - started) * 1000, 2),
        shown_ms=round(elapsed_ms - observed.overrun_ms, 2),
        evaluated=explanation.timings.evaluated_tokens,
        generated=explanation.timings.generated_tokens,
        scored=run.options.nll,
        nll_text=score.text if score else None,
        nll_end=score.end if score else None,
        nll_tokens=score.tokens if score else 0,
        code=_code_digest(),
    )


def _failed(key: str, error: str, options: FillOptions) -> AnswerRecord:
    return AnswerRecord(key, "", "", "", error=error, scored=options.nll, code=_code_digest())


def request_for(hole: EvaluationHole, trigger: Trigger) -> CompletionRequest:
    """Return the request of an editor whose cursor is in the hole."""
    uri = f"file:///{quote(hole.path)}"
    document = DocumentSnapshot(uri, hole.language, 1, hole.prefix + hole.suffix)
    return CompletionRequest(document, len(hole.prefix), trigger)


# --- Folders of safetensors, which the server can't open


def _score_in_folder(run: _ArmRun, pending: Pending) -> list[AnswerRecord]:
    """Score the true middles with transformers; such an arm gives no answers."""
    from fim_lsp.prompt.builder import build
    from training.bases import open_base

    arm, options = run.arm, run.options
    settings = arm.settings(options.max_tokens)
    base = open_base(Path(arm.model).expanduser(), settings.model.template)
    template = None if arm.prefix_only else base.template
    scorer = _open_folder(arm) if options.nll else None
    records = []
    for key, hole in pending:
        prompt = build(request_for(hole, arm.trigger), template, base.tokenizer, settings.prompt)
        score = middle_score(prompt, hole.middle, scorer) if scorer else None
        record = _scored_only(key, prompt.template, score, options)
        run.journal.add(record)
        records.append(record)
        run.on_done()
    return records


def _open_folder(arm: Arm) -> FolderScorer:
    from training.bases import open_base
    from training.evaluate.nll import FolderScorer

    folder = Path(arm.model).expanduser()
    base = open_base(folder, arm.settings(1).model.template)
    return FolderScorer.open(folder, base.tokenizer, base.end)


def _scored_only(key: str, template: str, score: Score | None, options: FillOptions) -> AnswerRecord:
    if score is None:
        return AnswerRecord(key, template=template, scored=options.nll, code=_code_digest())
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
    """Score plain texts left to right with an arm's model; return each text's NLL in nats, and its tokens."""
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
