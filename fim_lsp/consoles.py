"""Write to any console: one that can't show a character shows another in its place, and nothing fails."""

from __future__ import annotations

import io
import sys


def accept_any_character() -> None:
    """Let stdout and stderr replace what their encoding lacks.

    Example: with ``PYTHONIOENCODING=ascii``, ``→`` is written as ``?``.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
