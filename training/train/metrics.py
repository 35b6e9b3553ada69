"""What a run tells while it goes: a line of JSON a step, a progress bar or plain lines, a plot at the end."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from fim_lsp.files import write_text_atomically

JOURNAL = "metrics.jsonl"
"""In a run's folder."""
_PLAIN_SECONDS = 30.0
"""Between two lines where there is no terminal to draw a bar on."""


class Journal:
    """``metrics.jsonl``, one object a line. A resumed run first drops the lines after its checkpoint.

    Without a path nothing is written: of several processes only one keeps the journal.
    """

    def __init__(self, path: Path | None, resumed_at: int = 0) -> None:
        self._file: TextIO | None = None
        if path is not None:
            kept = [line for line in _lines(path) if line["step"] <= resumed_at]
            write_text_atomically(path, "".join(json.dumps(line) + "\n" for line in kept))
            self._file = path.open("a", encoding="utf-8")

    def write(self, values: Mapping[str, Any]) -> None:
        """Append one line; it has left the process before the next step begins."""
        if self._file is not None:
            self._file.write(json.dumps(dict(values)) + "\n")
            self._file.flush()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Every whole line; what a killed process left half written is passed over."""
    return list(_lines(path))


def _lines(path: Path) -> list[dict[str, Any]]:
    found = []
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return []
    for line in text.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


class Display:
    """How far the run has come: a bar on a terminal, else a line every half minute; silent where told."""

    def __init__(self, *, shown: bool) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)
        self._shown = shown
        self._bar: Any = None
        self._task: Any = None
        self._last_line = 0.0

    def say(self, text: str) -> None:
        """One line, above the bar."""
        if self._shown:
            self._console.print(text, highlight=False, soft_wrap=True)

    def start(self, text: str = "training") -> None:
        """Begin to draw."""
        if not (self._shown and self._console.is_terminal):
            return
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self._bar = Progress(*columns, console=self._console)
        self._task = self._bar.add_task(text, total=1.0, note="")
        self._bar.start()

    def update(self, share: float, note: str) -> None:
        """Show the done ``share`` (0 to 1) and a few figures."""
        if self._bar is not None:
            self._bar.update(self._task, completed=share, note=note)
        elif self._shown and time.monotonic() - self._last_line > _PLAIN_SECONDS:
            self._last_line = time.monotonic()
            print(f"{share:6.1%}  {note}", file=sys.stderr, flush=True)

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def plot_losses(journal: Path, picture: Path) -> bool:
    """Draw training loss and held-out NLL over tokens.

    Returns:
        Whether it was drawn; False without matplotlib or without steps.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        return False
    lines = read_journal(journal)
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
    """Exponential moving average, corrected for its beginning."""
    out, mean = [], 0.0
    for number, value in enumerate(values, 1):
        mean = keep * mean + (1 - keep) * value
        out.append(mean / (1 - keep**number))
    return out
