"""Score texts by their negative log-likelihood (NLL) under a model, without sampling.

A middle is scored behind the prompt that was served, encoded by itself as in training rows. The end counts as
any token that would have ended the generation. There is no token healing, so a prefix that ends inside a word
costs an untuned base more here than when serving.
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
"""Rows of logits held at once: 64 rows of a vocabulary of 150,000 tokens are 38 MB."""


@frozen
class Score:
    """Negative log-likelihoods in nats."""

    text: float
    """Sum over the text's tokens."""
    end: float
    """NLL of an end behind the text."""
    tokens: int
    """Number of the text's tokens, without the end."""


class Scorer(Protocol):
    """A model that gives the likelihood of tokens."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer."""

    @property
    def room(self) -> int:
        """Size of the context window, in tokens."""

    def likelihoods(self, prompt: Prompt, answer: Sequence[int]) -> tuple[float, float]:
        """Return the log-likelihood of ``answer`` behind a prompt, and that of an end behind both, in nats.

        Args:
            prompt: at least one token, and no tail.
            answer: token ids; may be empty.
        """


def middle_score(prompt: Prompt, middle: str, scorer: Scorer) -> Score | None:
    """Score a middle behind its prompt; return None if both don't fit into the context window."""
    tail = scorer.tokenizer.encode(prompt.tail) if prompt.tail else ()
    encoded = evolve(prompt, head=(*prompt.head, *tail), tail="")
    answer = scorer.tokenizer.encode(visible(middle)) if middle else ()
    if not encoded.head or len(encoded.head) + len(answer) > scorer.room:
        return None
    text, end = scorer.likelihoods(encoded, answer)
    return Score(-text, -end, len(answer))


def plain_score(text: str, scorer: Scorer, max_tokens: int = 512) -> Score:
    """Score a text left to right, without markers, to see if tuning made the model worse at that.

    The first token is not scored unless the model has a BOS token, because it needs one before it.
    """
    bos = scorer.tokenizer.bos
    ids = scorer.tokenizer.encode(visible(text))[: min(max_tokens, scorer.room - 1)]
    first = ids[:1] if bos is None else (bos,)
    scored = ids[1:] if bos is None else ids
    likelihood, _ = scorer.likelihoods(Prompt(head=first, tail=""), scored)
    return Score(-likelihood, 0.0, len(scored))


@frozen
class EngineScorer:
    """Scores with an engine, on the calling thread; the evaluated tokens stay in its KV cache.

    Logits are computed for many rows at once, so that a middle costs a few decodes instead of one for each
    token.
    """

    _engine: Engine = field(repr=False)

    @property
    def tokenizer(self) -> Tokenizer:
        """The engine's tokenizer."""
        return self._engine.tokenizer

    @property
    def room(self) -> int:
        """Size of the open context window, in tokens."""
        return self._engine.info.context

    def likelihoods(self, prompt: Prompt, answer: Sequence[int]) -> tuple[float, float]:
        """See :meth:`Scorer.likelihoods`."""
        ids = (*prompt.head, *answer)
        text, end = 0.0, 0.0
        # The prompt's last token predicts the first of the answer.
        for begin in range(len(prompt.head) - 1, len(ids), _ROWS):
            head = ids[: begin + _ROWS]
            logits = self._engine.logits(evolve(prompt, head=head), rows=len(head) - begin)
            targets = ids[begin + 1 : begin + 1 + _ROWS]
            text += float(_log_likelihood(logits[: len(targets)], targets).sum())
            if len(targets) < len(logits):
                end = _log_likelihood_of_any(logits[-1], prompt.stop_ids | self._engine.info.end_ids)
        return text, end


@frozen
class FolderScorer:
    """Scores with ``transformers``, for a folder of safetensors that is not exported yet."""

    tokenizer: Tokenizer = field(repr=False)
    room: int
    _model: Any = field(repr=False)
    _end_ids: frozenset[int] = field(repr=False)

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
        return text, _log_likelihood_of_any(logits[-1], prompt.stop_ids | self._end_ids)


def _log_likelihood(logits: Any, targets: Sequence[int]) -> Any:
    """Return the log-likelihood of one target for each row, in nats.

    Args:
        logits: shape (rows, vocabulary).
        targets: token ids, one for each row.

    Returns:
        Float64, shape (rows,); thousands of them are summed up.
    """
    rows = np.asarray(logits, dtype=np.float64)
    peaks = rows.max(axis=1, initial=-np.inf)
    totals = np.log(np.exp(rows - peaks[:, None]).sum(axis=1)) + peaks
    return rows[np.arange(len(targets)), list(targets)] - totals


def _log_likelihood_of_any(logits: Any, targets: frozenset[int]) -> float:
    """Return the log-likelihood of any of the targets for one row of logits, in nats; 0 without targets."""
    row = np.asarray(logits, dtype=np.float64)
    if not targets:
        return 0.0
    peak = row.max()
    total = np.log(np.exp(row - peak).sum())
    return float(np.log(np.exp(row[sorted(targets)] - peak).sum()) - total)
