"""The figure that decides which adapter is kept: NLL of held-out middles."""

from __future__ import annotations

from typing import Any

import attrs

from training.batches import pack, split_passes
from training.prepared import PreparedRun

_FEWEST_ROWS = 16


def held_out_nll(prepared: PreparedRun, most_tokens: float | None = None) -> float | None:
    """NLL per token of held-out middles, end token included.

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
    sums = torch.zeros(2, dtype=torch.float64, device=accelerator.device)
    with torch.no_grad():
        for numbers in split_passes(mine, rows.lengths, options.pass_tokens):
            packed = pack([_middle_only(rows[at]) for at in numbers])
            each = prepared.losses(packed)[1]
            sums += torch.stack((each.double().sum(), torch.tensor(float(len(each)), device=each.device)))
    total, labels = accelerator.reduce(sums, "sum").tolist()
    return total / labels if labels else None


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
