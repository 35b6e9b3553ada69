"""What an adapter says of itself: its base, its format, how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from training.train.options import plan_adapter

if TYPE_CHECKING:
    from training.train.prepared import PreparedRun


def describe(run: PreparedRun, end_bias: float | None = None) -> dict[str, Any]:
    """What an adapter belongs to and how it was made; without times and paths.

    Args:
        run: what makes it.
        end_bias: nats to add to the logit of the end, where they were measured.
    """
    settings = run.recipe.train
    plan = plan_adapter(run.options, run.recipe, ())
    base = dict(run.dataset.manifest.get("base", {}))
    return {
        "base": {"name": run.base.name, "sha256": run.base.sha256},
        "fim": {
            "template": base.get("template"),
            "order": base.get("order"),
            "end_id": base.get("end_id"),
            "sentinels": dict(base.get("sentinels", {})),
            "marks": _marks(base.get("template")),
            "sees_repository": _learnt("with_snippets", run.dataset.manifest),
            "anchored": _learnt("anchored", run.dataset.manifest),
            "end_bias": end_bias,
        },
        "adapter": {"method": plan.method, "rank": plan.rank, "alpha": plan.alpha},
        "data": {"sha256": run.dataset.manifest.get("sha256", {})},
        "recipe": {"stage": run.recipe.stage, "train": attrs.asdict(settings)},
        "precision": run.precision,
    } | ({"begun_with": dict(run.begun_with)} if run.begun_with else {})


_ENOUGH_ROWS = 0.1
"""Part of the rows that must have had something for the model to be said to know it."""


def _learnt(what: str, manifest: Mapping[str, Any]) -> bool:
    """Whether enough rows had it: snippets of other files, or a middle that the prompt began."""
    counts = manifest.get("rows", {}).get("train", {})
    return bool(counts.get(what, 0) >= _ENOUGH_ROWS * max(1, counts.get("rows", 0)))


def _marks(template: str | None) -> dict[str, str]:
    """The template's marker texts by llama.cpp's names for them (``tokenizer.ggml.fim_*_token_id``)."""
    from fim_lsp.prompt.templates import find_template

    if template is None:
        return {}
    chosen = find_template(template)
    marks = {
        "pre": chosen.prefix,
        "suf": chosen.suffix,
        "mid": chosen.middle,
        "rep": chosen.repo_name,
        "sep": chosen.file_separator,
    }
    return {key: text for key, text in marks.items() if text}
