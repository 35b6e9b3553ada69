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
from attrs import evolve, field, frozen

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

    def likelihoods(self, prompt: Prompt, answer: Sequence[int]) -> tuple[float, float]:
        """Return the log-likelihood of ``answer`` behind a prompt, and that of an end behind both.

        Args:
            prompt: At least one token, and no tail.
            answer: Token ids, perhaps none.
        """


def middle_score(prompt: Prompt, middle: str, scorer: Scorer) -> Score | None:
    """Score a middle behind its prompt; None where the two don't fit the context."""
    tail = scorer.tokenizer.encode(prompt.tail) if prompt.tail else ()
    given = evolve(prompt, head=(*prompt.head, *tail), tail="")
    answer = scorer.tokenizer.encode(visible(middle)) if middle else ()
    if not given.head or len(given.head) + len(answer) > scorer.room:
        return None
    text, end = scorer.likelihoods(given, answer)
    return Score(-text, -end, len(answer))


def plain_score(text: str, scorer: Scorer, max_tokens: int = 512) -> Score:
    """Score a text left to right, without any marker: what a tuned model may have unlearnt.

    The first token is not scored, as there is nothing that it could follow from.
    """
    bos = scorer.tokenizer.bos
    ids = scorer.tokenizer.encode(visible(text))[: min(max_tokens, scorer.room - 1)]
    given = ids[:1] if bos is None else (bos,)
    answer = ids[1:] if bos is None else ids
    likely, _ = scorer.likelihoods(Prompt(head=given, tail=""), answer)
    return Score(-likely, 0.0, len(answer))


@frozen
class EngineScorer:
    """Scores with an engine, on the thread that calls; the evaluated tokens stay in its KV cache.

    Logits come for many rows at once, so that a middle costs a few decodes rather than one a token.
    """

    _engine: Engine = field(repr=False)

    @property
    def tokenizer(self) -> Tokenizer:
        """The engine's."""
        return self._engine.tokenizer

    @property
    def room(self) -> int:
        """The open context."""
        return self._engine.info.context

    def likelihoods(self, prompt: Prompt, answer: Sequence[int]) -> tuple[float, float]:
        """See :meth:`Scorer.likelihoods`."""
        ids = (*prompt.head, *answer)
        text, end = 0.0, 0.0
        # The prompt's last token predicts the first of the answer.
        for begin in range(len(prompt.head) - 1, len(ids), _ROWS):
            known = ids[: begin + _ROWS]
            logits = self._engine.logits(evolve(prompt, head=known), rows=len(known) - begin)
            targets = ids[begin + 1 : begin + 1 + _ROWS]
            text += float(_log_likelihood(logits[: len(targets)], targets).sum())
            if len(targets) < len(logits):
                end = _log_likelihood_of_any(logits[-1], prompt.stop_ids | self._engine.info.end_ids)
        return text, end


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

    def likelihoods(self, prompt: Prompt, answer: Sequence[int]) -> tuple[float, float]:
        """See :meth:`Scorer.likelihoods`."""
        import torch

        ids, start = (*prompt.head, *answer), len(prompt.head)
        with torch.inference_mode():
            states = self._model.get_decoder()(torch.tensor([list(ids)])).last_hidden_state[0, start - 1 :]
            logits = self._model.get_output_embeddings()(states).numpy()
        text = float(_log_likelihood(logits[:-1], answer).sum())
        return text, _log_likelihood_of_any(logits[-1], prompt.stop_ids | self._ending)


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
