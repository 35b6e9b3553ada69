"""The metrics of a run: a file with a line of JSON for each step, and a plot of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from fim_lsp.files import write_text_atomically

METRICS_FILE = "metrics.jsonl"
"""Name of the file in a run's folder."""


class MetricsLog:
    """Appends one JSON object a line to ``metrics.jsonl``.

    Without a path nothing is written: only one of several processes writes the file.
    """

    def __init__(self, path: Path | None, resumed_at: int = 0) -> None:
        """Open the file, and drop the lines of steps after ``resumed_at``, which will be taken again."""
        self._file: TextIO | None = None
        if path is not None:
            kept = [line for line in read_metrics(path) if line["step"] <= resumed_at]
            write_text_atomically(path, "".join(json.dumps(line) + "\n" for line in kept))
            self._file = path.open("a", encoding="utf-8")

    def write(self, values: Mapping[str, Any]) -> None:
        """Append one line and flush it, so that a killed process loses none of its steps."""
        if self._file is not None:
            self._file.write(json.dumps(dict(values)) + "\n")
            self._file.flush()

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return every complete line; skip the line that a killed process left half written."""
    lines = []
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return []
    for line in text.splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            continue
    return lines


def plot_losses(metrics: Path, picture: Path) -> bool:
    """Draw training loss and held-out NLL over tokens.

    Args:
        metrics: a run's ``metrics.jsonl``.
        picture: the PNG file to write.

    Returns:
        True if it was drawn; False without matplotlib or without steps.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        return False
    lines = read_metrics(metrics)
    steps = [line for line in lines if "loss" in line]
    if not steps:
        return False
    mpl.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    tokens = [line["tokens"] for line in steps]
    axes.plot(tokens, [line["loss"] for line in steps], alpha=0.25, label="training, each step")
    axes.plot(tokens, _smoothed([line["loss"] for line in steps]), label="training, smoothed")
    held_out = [line for line in lines if "held_out_nll" in line]
    axes.plot(
        [line["tokens"] for line in held_out],
        [line["held_out_nll"] for line in held_out],
        marker="o",
        label="held out, middles only",
    )
    axes.set(xlabel="tokens trained on", ylabel="NLL per label (nats)")
    axes.legend()
    figure.tight_layout()
    figure.savefig(picture, dpi=120)
    pyplot.close(figure)
    return True


def _smoothed(values: list[float], keep: float = 0.9) -> list[float]:
    """Return the exponential moving average, without its bias towards 0 at the beginning."""
    averages, mean = [], 0.0
    for number, value in enumerate(values, 1):
        mean = keep * mean + (1 - keep) * value
        averages.append(mean / (1 - keep**number))
    return averages
