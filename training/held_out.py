"""The figure that decides which adapter is kept: NLL of held-out middles."""

from __future__ import annotations

from typing import Any

import attrs

from training.batches import pack, split_passes
from training.prepared import PreparedRun


def held_out_nll(prepared: PreparedRun) -> float | None:
    """NLL per token of held-out middles, end token included; None without held-out rows with a hole."""
    import torch

    rows, options, accelerator = prepared.dataset.held_out, prepared.options, prepared.accelerator
    limit = prepared.recipe.train.max_tokens
    chosen = [at for at in range(len(rows)) if rows[at].middle_start and rows.lengths[at] <= limit]
    chosen = chosen[: options.eval_rows]
    mine = chosen[accelerator.process_index :: accelerator.num_processes]
    sums = torch.zeros(2, dtype=torch.float64, device=accelerator.device)
    with torch.no_grad():
        for numbers in split_passes(mine, rows.lengths, options.pass_tokens):
            packed = pack([_middle_only(rows[at]) for at in numbers])
            each = prepared.losses(packed)[1]
            sums += torch.stack((each.double().sum(), torch.tensor(float(len(each)), device=each.device)))
    total, labels = accelerator.reduce(sums, "sum").tolist()
    return total / labels if labels else None


def _middle_only(row: Any) -> Any:
    """The row with a loss on its middle alone, whatever was trained on before it."""
    weights = row.weights.copy()
    weights[: row.middle_start] = 0
    return attrs.evolve(row, weights=weights)
