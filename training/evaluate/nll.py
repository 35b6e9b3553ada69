"""How likely a model finds the true middle: no sampling, no limit, no luck.

The middle is scored behind the very prompt that was served, its tokens encoded by themselves as in training
rows. The end counts as any token that would have ended the generation. Token healing has no part in this: a
prefix that ends inside a word costs an untuned base more here than when serving.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from attrs import field, frozen

from fim_lsp.prompt.window import visible
from fim_lsp.types import Prompt, Tokenizer

if TYPE_CHECKING:
    from fim_lsp.engine.base import Engine

_ROWS = 64
"""Positions whose logits are kept at once: 64 rows of a 150,000-word vocabulary are 38 MB."""


@frozen
class Score:
    """Negative log-likelihoods in nats."""

    text: float
    """Of the text's tokens together."""
    end: float
    """Of ending there."""
    tokens: int
    """Of the text, the end not counted."""


class Scorer(Protocol):
    """A model that tells how likely tokens are."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Its vocabulary."""

    @property
    def room(self) -> int:
        """Most tokens that it can look at."""

    def likelihoods(self, ids: Sequence[int], start: int, ends: frozenset[int]) -> tuple[float, float]:
        """The log-likelihood of ``ids`` from ``start`` (at least 1) on, and of an end after them."""


def middle_score(prompt: Prompt, middle: str, scorer: Scorer) -> Score | None:
    """Score a middle behind its prompt; None where the two don't fit the context."""
    given = (*prompt.head, *(scorer.tokenizer.encode(prompt.tail) if prompt.tail else ()))
    answer = scorer.tokenizer.encode(visible(middle)) if middle else ()
    if not given or len(given) + len(answer) > scorer.room:
        return None
    text, end = scorer.likelihoods((*given, *answer), len(given), prompt.stop_ids)
    return Score(-text, -end, len(answer))


def plain_score(text: str, scorer: Scorer, max_tokens: int = 512) -> Score:
    """Score a text left to right, without any marker: what a tuned model may have unlearnt.

    The first token is not scored, as there is nothing that it could follow from.
    """
    bos = scorer.tokenizer.bos
    ids = scorer.tokenizer.encode(visible(text))[: min(max_tokens, scorer.room - 1)]
    given = () if bos is None else (bos,)
    start = max(1, len(given))
    likely, _ = scorer.likelihoods((*given, *ids), start, frozenset())
    return Score(-likely, 0.0, len(given) + len(ids) - start)


def engine_scorer(engine: Engine) -> Scorer | None:
    """A scorer on an engine's own weights, or None for one that has no logits."""
    if not hasattr(engine, "_cache"):
        return None
    return LlamaScorer(engine)


@frozen
class LlamaScorer:
    """Scores with llama.cpp, on the thread that calls; leaves what it evaluated in the engine's mirror.

    The one place that reaches into :class:`fim_lsp.engine.llama.LlamaEngine`, which only samples: the
    batch is marked for logits on every row, so that a middle costs one decode rather than one a token.
    """

    _engine: Any = field(repr=False)

    @property
    def tokenizer(self) -> Tokenizer:
        """The engine's."""
        tokenizer: Tokenizer = self._engine.tokenizer
        return tokenizer

    @property
    def room(self) -> int:
        """The open context."""
        return int(self._engine.info.context)

    def likelihoods(self, ids: Sequence[int], start: int, ends: frozenset[int]) -> tuple[float, float]:
        """See :meth:`Scorer.likelihoods`."""
        from fim_lsp.engine.base import CancelToken
        from fim_lsp.types import Prompt

        engine = self._engine
        given = Prompt(head=tuple(ids[:start]), tail="", adapters=engine._adapters.applied)
        plan = engine._take(engine._find_slot(given, background=False), given, background=False)
        # The last one given is evaluated with the answer: its logits are the first that count.
        engine._evaluate(plan.pending[:-1], CancelToken())
        text, end = 0.0, 0.0
        rows = min(_ROWS, engine._settings.batch_tokens)
        for begin in range(start - 1, len(ids), rows):
            logits = self._decode(ids[begin : begin + rows])
            targets = ids[begin + 1 : begin + 1 + rows]
            text += float(_log_likelihood(logits[: len(targets)], targets).sum())
            if len(targets) < len(logits):
                end = _log_likelihood_of_any(logits[-1], ends | self._engine._vocabulary.ends)
        return text, end

    def _decode(self, tokens: Sequence[int]) -> Any:
        """Evaluate ``tokens`` and return the logits behind each, float32, shape (tokens, vocabulary)."""
        cache = self._engine._cache
        cache.decode(tokens, logits=len(tokens))
        return np.stack([cache.logits(row) for row in range(len(tokens))])


@frozen
class FolderScorer:
    """Scores with ``transformers``: a folder of safetensors, before it is exported."""

    tokenizer: Tokenizer = field(repr=False)
    room: int
    _model: Any = field(repr=False)
    _ending: frozenset[int] = field(repr=False)

    @classmethod
    def open(cls, folder: Path, tokenizer: Tokenizer, end: int) -> FolderScorer:
        """Load the weights in float32; ``end`` is the id that ends a middle."""
        from transformers import AutoModelForCausalLM

        model: Any = AutoModelForCausalLM.from_pretrained(str(folder), dtype="float32", local_files_only=True)
        model.eval()
        room = int(getattr(model.config, "max_position_embeddings", None) or 2048)
        return cls(tokenizer, room, model, frozenset({end}))

    def likelihoods(self, ids: Sequence[int], start: int, ends: frozenset[int]) -> tuple[float, float]:
        """See :meth:`Scorer.likelihoods`."""
        import torch

        with torch.inference_mode():
            states = self._model.get_decoder()(torch.tensor([list(ids)])).last_hidden_state[0, start - 1 :]
            logits = self._model.get_output_embeddings()(states).numpy()
        text = float(_log_likelihood(logits[:-1], ids[start:]).sum())
        return text, _log_likelihood_of_any(logits[-1], ends | self._ending)


def _log_likelihood(logits: Any, targets: Sequence[int]) -> Any:
    """Of one target a row; in float64, as sums of thousands follow."""
    rows = np.asarray(logits, dtype=np.float64)
    peaks = rows.max(axis=1, initial=-np.inf)
    totals = np.log(np.exp(rows - peaks[:, None]).sum(axis=1)) + peaks
    return rows[np.arange(len(targets)), list(targets)] - totals


def _log_likelihood_of_any(logits: Any, targets: frozenset[int]) -> float:
    row = np.asarray(logits, dtype=np.float64)
    if not targets:
        return 0.0
    peak = row.max()
    total = np.log(np.exp(row - peak).sum())
    return float(np.log(np.exp(row[sorted(targets)] - peak).sum()) - total)
