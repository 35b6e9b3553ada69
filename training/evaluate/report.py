"""Make the report: ``report.json`` for programs, the same as Markdown and as an HTML file for people.

``report.json`` has ``arms`` by name, each with ``n``, and ``exact_match``, ``edit_similarity``,
``middle_nll``, ``stop_accuracy``, ``suffix_repeated``, ``pass_at_1`` and the other metrics as ``{value, low,
high}``, all None if a metric was not measured; ``paired`` has the differences of each two arms. The same
answers and seed give the same file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from fim_lsp.files import write_text_atomically
from training.evaluate import EvaluationError
from training.evaluate.scores import METRICS, PLAIN, ArmResults, arm_figures, paired_figures

FORMAT = 1


def make_report(results: Sequence[ArmResults], run: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return all figures as plain values.

    Args:
        results: an entry for each arm, the base first.
        run: description of the evaluation: holes, limits, models.
        seed: of the bootstrap.
    """
    return {
        "format": FORMAT,
        "run": dict(run),
        "metrics": {
            metric.name: {
                "unit": metric.unit,
                "about": metric.about,
                "more_is_better": metric.more_is_better,
            }
            for metric in (*METRICS, PLAIN)
        },
        "arms": {result.arm.name: arm_figures(result, seed) for result in results},
        "paired": {
            f"{later.arm.name} - {earlier.arm.name}": paired_figures(later, earlier, seed)
            for earlier, later in combinations(results, 2)
        },
    }


def write_report(folder: Path, report: Mapping[str, Any]) -> tuple[Path, ...]:
    """Write ``report.json``, ``report.md`` and ``report.html``.

    Raises:
        EvaluationError: the folder can't be written.
    """
    from training.evaluate.pages import as_html, as_markdown
    from training.evaluate.plots import draw_plots

    # The figures are written before the plots are drawn.
    contents: dict[str, Callable[[], str]] = {
        "report.json": lambda: json.dumps(report, indent=2, ensure_ascii=False) + "\n",
        "report.md": lambda: as_markdown(report),
        "report.html": lambda: as_html(report, draw_plots(report)),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            write_text_atomically(folder / name, content())
    except OSError as error:
        raise EvaluationError(
            f"The report can't be written to {folder}: {error.strerror or error}.",
            "Free some room, or choose another folder with --output.",
        ) from error
    return tuple(folder / name for name in contents)
