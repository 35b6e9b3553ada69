"""What a run shows on the terminal: a progress bar, or a plain line every half minute, and its messages."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

_PLAIN_SECONDS = 30.0
"""Seconds between two lines if stderr is not a terminal."""


class Display:
    """Progress and messages of a run on stderr; silent in all processes but one."""

    def __init__(self, *, shown: bool) -> None:
        """Create the display; one that is not ``shown`` prints nothing."""
        from rich.console import Console

        self._console = Console(stderr=True)
        self._shown = shown
        self._bar: Any = None
        self._task: Any = None
        self._last_line = 0.0

    def print(self, text: str) -> None:
        """Print a line; it appears above the bar."""
        if self._shown:
            self._console.print(text, highlight=False, soft_wrap=True)

    def start(self, text: str = "training") -> None:
        """Draw the bar, if stderr is a terminal."""
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
        """Show the share that is done, 0 to 1, with a few figures."""
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


def format_seconds(seconds: float) -> str:
    """Return a duration as ``hours:minutes:seconds``: ``0:01:05`` for 65."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
