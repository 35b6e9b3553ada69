"""The description stored beside an adapter: its base, its FIM format, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from training.train.options import plan_adapter

if TYPE_CHECKING:
    from training.train.prepared import PreparedRun

_ENOUGH_ROWS = 0.1
"""Share of the training rows that must have a feature for the model to count as trained on it."""


def describe(run: PreparedRun, end_bias: float | None = None) -> dict[str, Any]:
    """Return the description of the adapter that a run trains; it holds no times and no paths.

    Args:
        run: the run.
        end_bias: nats to add to the logit of the end token; None if they were not measured.
    """
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
            "sees_repository": enough_rows_have("with_snippets", run.dataset.manifest),
            "anchored": enough_rows_have("anchored", run.dataset.manifest),
            "end_bias": end_bias,
        },
        "adapter": {"method": plan.method, "rank": plan.rank, "alpha": plan.alpha},
        "data": {"sha256": run.dataset.manifest.get("sha256", {})},
        "recipe": {"stage": run.recipe.stage, "train": attrs.asdict(run.recipe.train)},
        "precision": run.precision,
    } | ({"begun_with": dict(run.begun_with)} if run.begun_with else {})


def enough_rows_have(feature: str, manifest: Mapping[str, Any]) -> bool:
    """Tell whether enough training rows have a feature.

    Args:
        feature: ``with_snippets``, for snippets of other files in the prompt, or ``anchored``, for a prompt
            that holds the beginning of the middle.
        manifest: the data set's, with the counts of its rows.
    """
    counts = manifest.get("rows", {}).get("train", {})
    return bool(counts.get(feature, 0) >= _ENOUGH_ROWS * max(1, counts.get("rows", 0)))


def _marks(template: str | None) -> dict[str, str]:
    """Return a template's marker texts by llama.cpp's names (``tokenizer.ggml.fim_*_token_id``)."""
    from fim_lsp.prompt.templates import find_template

    if template is None:
        return {}
    markers = find_template(template)
    marks = {
        "pre": markers.prefix,
        "suf": markers.suffix,
        "mid": markers.middle,
        "rep": markers.repo_name,
        "sep": markers.file_separator,
    }
    return {key: text for key, text in marks.items() if text}
