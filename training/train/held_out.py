"""Evaluate an adapter on held-out middles: their NLL decides if it is kept, their ends give the end bias."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from fim_lsp.types import Tokenizer
from training.bases import open_vocabulary
from training.data.dataset import StoredRow
from training.train.batches import pack, split_passes
from training.train.end_bias import BIASES, choose_bias, count_wrong_ends
from training.train.prepared import PreparedRun

_FEWEST_ROWS = 16
"""Rows that are evaluated even if they cost more than the limit: fewer give no useful figure."""


@frozen
class HeldOutScore:
    """The score of an adapter on held-out middles."""

    nll: float
    """Nats per token, end token included."""
    end_bias: float | None
    """Nats to add to the logit of the end token (:mod:`.end_bias`); None with too few middles."""


def evaluate_held_out(prepared: PreparedRun, most_tokens: float | None = None) -> HeldOutScore | None:
    """Score the adapter in its present state on held-out middles.

    Args:
        prepared: the run; its processes share the work.
        most_tokens: evaluate only as many rows as have about this many tokens together.

    Returns:
        None if no held-out row has a hole.
    """
    import torch

    rows, options, accelerator = prepared.dataset.held_out, prepared.options, prepared.accelerator
    chosen = _choose_rows(prepared, most_tokens)
    own = chosen[accelerator.process_index :: accelerator.num_processes]
    tokenizer = open_vocabulary(prepared.base.gguf or prepared.base.path)
    sums = torch.zeros(2, dtype=torch.float64, device=accelerator.device)
    counts = torch.zeros((3, len(BIASES)), dtype=torch.int64, device=accelerator.device)
    with torch.no_grad():
        for numbers in split_passes(own, rows.lengths, options.pass_tokens):
            middles = [_middle_only(rows[number]) for number in numbers]
            nll, leads, rivals = prepared.score(pack(middles))
            sums += torch.stack((nll.double().sum(), torch.tensor(float(len(nll)), device=nll.device)))
            sizes = [np.count_nonzero(middle.weights) for middle in middles]
            for lead, rival in zip(leads.split(sizes), rivals.split(sizes), strict=True):
                wrong = count_wrong_ends(lead.float().cpu().numpy(), _have_breaks(tokenizer, rival.tolist()))
                counts += torch.from_numpy(wrong).to(counts.device)
    total, labels = accelerator.reduce(sums, "sum").tolist()
    if not labels:
        return None
    return HeldOutScore(total / labels, choose_bias(accelerator.reduce(counts, "sum").cpu().numpy()))


def _choose_rows(prepared: PreparedRun, most_tokens: float | None) -> list[int]:
    """Return the numbers of the first held-out rows with a hole, as many as the limits allow."""
    rows, limit = prepared.dataset.held_out, prepared.recipe.train.max_tokens
    with_hole = [
        number for number in range(len(rows)) if rows[number].middle_start and rows.lengths[number] <= limit
    ]
    count = prepared.options.eval_rows
    if most_tokens is not None:
        affordable = int((rows.lengths[with_hole].cumsum() <= most_tokens).sum())
        count = min(count, max(_FEWEST_ROWS, affordable))
    return with_hole[:count]


def _have_breaks(tokenizer: Tokenizer, tokens: Sequence[int]) -> NDArray[np.bool_]:
    return np.array(["\n" in tokenizer.decode((token,)) for token in tokens])


def _middle_only(row: StoredRow) -> StoredRow:
    """Return the row with loss weights on its middle alone, so that only the middle is scored."""
    weights = row.weights.copy()
    weights[: row.middle_start] = 0
    return attrs.evolve(row, weights=weights)
