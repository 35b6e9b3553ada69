"""Write the figures as JSON and Markdown, and draw them as SVG."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import asdict, frozen

from benchmarks.keystrokes.measures import PeerRun, RunConditions, Spread, ratios
from benchmarks.keystrokes.replay import Replay
from fim_lsp.errors import FimLspError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = {
    "fim-lsp": "tab:blue",
    "completion": "tab:green",
    "infill": "tab:red",
    "infill-spm": "tab:orange",
    "infill-own": "tab:brown",
    "served": "tab:purple",
}
_SHAPES = {
    "fim-lsp": "o",
    "completion": "s",
    "infill": "^",
    "infill-spm": "v",
    "infill-own": "<",
    "served": "D",
}
"""Markers of different shapes, because equal figures hide each other."""

_RATIOS = ("ttft", "cold_ttft", "warm_ttft", "shown", "cancel_to_next")


class PlotsError(FimLspError):
    """The plots can't be drawn."""


@frozen
class BenchmarkResults:
    """The results of one run of the benchmark."""

    about: Mapping[str, Any]
    """Description of the machine and the workload."""
    runs: Sequence[PeerRun]
    replays: Mapping[RunConditions, Sequence[Replay]]


def write_figures(results: BenchmarkResults, folder: Path) -> list[Path]:
    """Write ``keystrokes.json`` and ``keystrokes.md``; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    runs = [asdict(run) for run in results.runs]
    document = {"about": dict(results.about), "runs": runs, "ratios_to_fim_lsp": ratios(results.runs)}
    figures, table = folder / "keystrokes.json", folder / "keystrokes.md"
    figures.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    table.write_text(markdown(results), encoding="utf-8")
    return [figures, table]


def markdown(results: BenchmarkResults) -> str:
    """Return a table of all runs, and one of the ratios to fim-lsp."""
    facts = "; ".join(f"{key.replace('_', ' ')} {value}" for key, value in results.about.items())
    return "\n".join([*_table(results.runs), "", *_ratio_table(results.runs), "", f"({facts})", ""])


def _table(runs: Sequence[PeerRun]) -> list[str]:
    lines = [
        "| peer | model | file tokens | busy | first token ms, p50 (p95) | at a new place | typing on "
        "| shown ms | cancel to next ms | tokens a keystroke | prefilled after accept | CPU s "
        "| CPU s a character accepted | RSS MB |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        cells = (
            run.peer,
            run.model,
            run.file_tokens,
            "yes" if run.busy else "no",
            *map(_spread, (run.ttft_ms, run.cold_ttft_ms, run.warm_ttft_ms)),
            *map(_spread, (run.shown_ms, run.cancel_to_next_ms, run.evaluated_per_keystroke)),
            _value(run.prefilled_after_accept),
            _value(run.cpu_s),
            _value(run.cpu_s_per_accepted_char),
            f"{run.rss_mb:.0f}",
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines


def _ratio_table(runs: Sequence[PeerRun]) -> list[str]:
    lines = [
        "| medians, in times fim-lsp's | model | file tokens | busy | first token | at a new place "
        "| typing on | shown | cancel to next |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in ratios(runs):
        measured = (_value(row[key]) for key in _RATIOS)
        busy = "yes" if row["busy"] else "no"
        cells = (row["peer"], row["model"], str(row["file_tokens"]), busy, *measured)
        lines.append("| " + " | ".join(cells) + " |")
    return lines if len(lines) > 2 else []


def _spread(spread: Spread) -> str:
    return "-" if spread.p50 is None else f"{_value(spread.p50)} ({_value(spread.p95)})"


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def write_plots(results: BenchmarkResults, folder: Path) -> list[Path]:
    """Draw four plots as SVG, with a column for each model; return their paths.

    Raises:
        PlotsError: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
    except ImportError as error:
        raise PlotsError(
            "Plots need matplotlib, which is not installed.",
            "Run: pip install matplotlib. The figures are written without it.",
        ) from error
    plots = {
        "keystrokes-latency.svg": _draw_latency,
        "keystrokes-first-token.svg": _draw_first_token,
        "keystrokes-tokens.svg": _draw_tokens,
        "keystrokes-cpu.svg": _draw_cpu,
    }
    paths = []
    for name, draw in plots.items():
        paths.append(folder / name)
        # The same figures give the same file. Text stays text, so that it can be searched.
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
            draw(results).savefig(paths[-1], metadata={"Date": None})
    return paths


def _columns(results: BenchmarkResults) -> tuple[Figure, dict[str, Axes]]:
    from matplotlib.figure import Figure

    models = list(dict.fromkeys(run.model for run in results.runs))
    figure = Figure(figsize=(5.5 * len(models), 4.2), layout="constrained")
    axes = figure.subplots(1, len(models), squeeze=False)[0]
    for model, axis in zip(models, axes, strict=True):
        axis.set_title(model)
        axis.grid(alpha=0.3)
    return figure, dict(zip(models, axes, strict=True))


def _draw_latency(results: BenchmarkResults) -> Figure:
    """Draw the distribution of the time to the first token, over all file lengths.

    Answers from memory are left out, because the model was not asked for them.
    """
    figure, axes = _columns(results)
    for model, axis in axes.items():
        for peer, colour in _COLOURS.items():
            for busy, style in ((False, "-"), (True, ":")):
                waits = sorted(
                    max(record.answer.ttft_ms, 0.1)
                    for conditions, replays in results.replays.items()
                    if (conditions.peer, conditions.model, conditions.busy) == (peer, model, busy)
                    for replay in replays
                    for record in replay.records
                    if not record.answer.remembered
                )
                if waits:
                    share = [(number + 1) / len(waits) for number in range(len(waits))]
                    label = f"{peer}, busy" if busy else peer
                    axis.step(waits, share, style, color=colour, label=label, where="post")
        axis.set(xscale="log", xlabel="ms to the first token", ylabel="share of the answers")
        _legend(axis)
    return figure


def _draw_first_token(results: BenchmarkResults) -> Figure:
    return _over_length(
        results, "ms to the first token where the model is asked (median)", 10.0, lambda run: run.ttft_ms.p50
    )


def _draw_tokens(results: BenchmarkResults) -> Figure:
    return _over_length(
        results,
        "prompt tokens evaluated a keystroke (median)",
        1.0,
        lambda run: run.evaluated_per_keystroke.p50,
    )


def _draw_cpu(results: BenchmarkResults) -> Figure:
    return _over_length(
        results, "CPU seconds a character accepted", 0.01, lambda run: run.cpu_s_per_accepted_char
    )


def _over_length(
    results: BenchmarkResults, y_label: str, linear_below: float, value: Callable[[PeerRun], float | None]
) -> Figure:
    """Draw a value of each run over the file's length; the axis is linear below ``linear_below``."""
    figure, axes = _columns(results)
    for model, axis in axes.items():
        for peer, colour in _COLOURS.items():
            for busy, style in ((False, "-"), (True, ":")):
                points = [
                    (run.file_tokens, value(run))
                    for run in results.runs
                    if (run.peer, run.model, run.busy) == (peer, model, busy) and value(run) is not None
                ]
                if points:
                    label = f"{peer}, busy" if busy else peer
                    look: dict[str, Any] = {
                        "marker": _SHAPES[peer],
                        "color": colour,
                        "alpha": 0.8,
                        "label": label,
                    }
                    axis.plot(*zip(*points, strict=True), style, **look)
        lengths = sorted({run.file_tokens for run in results.runs if run.model == model})
        # Linear near 0, because some values are 0.
        axis.set_yscale("symlog", linthresh=linear_below)
        axis.set(xscale="log", xlabel="tokens in the file", ylabel=y_label)
        axis.set_ylim(bottom=0)
        axis.set_xticks(lengths, list(map(str, lengths)))
        axis.minorticks_off()
        _legend(axis)
    return figure


def _legend(axis: Axes) -> None:
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize="small")
