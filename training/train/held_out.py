"""What held-out middles say of an adapter: their NLL, which decides if it is kept, and how it ends them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from fim_lsp.types import Tokenizer
from training.bases import open_vocabulary
from training.train.batches import pack, split_passes
from training.train.end_bias import BIASES, balanced, mistakes
from training.train.prepared import PreparedRun

_FEWEST_ROWS = 16


@frozen
class HeldOut:
    """What an adapter came to on held-out middles."""

    nll: float
    """Nats per token, end token included."""
    end_bias: float | None
    """Nats to add to the logit of the end (:mod:`.end_bias`); None from too few middles."""


def judge_held_out(prepared: PreparedRun, most_tokens: float | None = None) -> HeldOut | None:
    """Judge the adapter as it stands by held-out middles.

    Args:
        prepared: whose model and rows.
        most_tokens: take only so many rows that they have about this many tokens.

    Returns:
        None without held-out rows with a hole.
    """
    import torch

    rows, options, accelerator = prepared.dataset.held_out, prepared.options, prepared.accelerator
    limit = prepared.recipe.train.max_tokens
    chosen = [at for at in range(len(rows)) if rows[at].middle_start and rows.lengths[at] <= limit]
    chosen = chosen[: _that_fit(rows.lengths[chosen], options.eval_rows, most_tokens)]
    mine = chosen[accelerator.process_index :: accelerator.num_processes]
    tokenizer = open_vocabulary(prepared.base.gguf or prepared.base.path)
    sums = torch.zeros(2, dtype=torch.float64, device=accelerator.device)
    counts = torch.zeros((3, len(BIASES)), dtype=torch.int64, device=accelerator.device)
    with torch.no_grad():
        for numbers in split_passes(mine, rows.lengths, options.pass_tokens):
            middles = [_middle_only(rows[at]) for at in numbers]
            nll, leads, rivals = prepared.judge(pack(middles))
            sums += torch.stack((nll.double().sum(), torch.tensor(float(len(nll)), device=nll.device)))
            sizes = [np.count_nonzero(middle.weights) for middle in middles]
            for lead, rival in zip(leads.split(sizes), rivals.split(sizes), strict=True):
                made = mistakes(lead.float().cpu().numpy(), _have_breaks(tokenizer, rival.tolist()))
                counts += torch.from_numpy(made).to(counts.device)
    total, labels = accelerator.reduce(sums, "sum").tolist()
    if not labels:
        return None
    return HeldOut(total / labels, balanced(accelerator.reduce(counts, "sum").cpu().numpy()))


def _have_breaks(tokenizer: Tokenizer, tokens: Sequence[int]) -> NDArray[np.bool_]:
    return np.array(["\n" in tokenizer.decode((token,)) for token in tokens])


def _that_fit(lengths: Any, most_rows: int, most_tokens: float | None) -> int:
    """How many of the rows, from the first on; a few in any case, as of none nothing could be said."""
    if most_tokens is None:
        return most_rows
    fitting = int((lengths.cumsum() <= most_tokens).sum())
    return min(most_rows, max(_FEWEST_ROWS, fitting))


def _middle_only(row: Any) -> Any:
    """The row with a loss on its middle alone, whatever was trained on before it."""
    weights = row.weights.copy()
    weights[: row.middle_start] = 0
    return attrs.evolve(row, weights=weights)
