"""llama.cpp's log: forward it to Python's, and collect errors, as functions that fail return only NULL."""

from __future__ import annotations

import ctypes
import logging

import llama_cpp

logger = logging.getLogger(__name__)

_GGML_ERROR = 4
"""ggml_log_level of ggml.h; llama-cpp-python's own table is older and has 3 (seen in 0.3.36)."""


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _log(level: int, text: bytes, _: object) -> None:
    """Forward a line of llama.cpp's log to Python's; by default it goes to stderr.

    Every level becomes DEBUG: llama.cpp reports each aborted batch as an error, and any keystroke aborts one.
    """
    logger.debug("%s", text.decode("utf-8", "replace").rstrip("\n"), extra={"ggml_level": level})


def follow_log() -> None:
    """Forward llama.cpp's log to Python's from now on."""
    llama_cpp.llama_log_set(_log, ctypes.c_void_p(0))


class LastErrors(logging.Handler):
    """Collects llama.cpp's error lines while it opens something."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._lines: list[str] = []
        self._level_before = logger.level

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line of llama.cpp's error level."""
        if getattr(record, "ggml_level", 0) >= _GGML_ERROR:
            self._lines.append(record.getMessage())

    def text(self) -> str:
        """Return the last two lines, as the rest of a sentence."""
        return "; ".join(self._lines[-2:]) or "no reason given"

    def __enter__(self) -> LastErrors:
        logger.setLevel(logging.DEBUG)
        logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logger.removeHandler(self)
        logger.setLevel(self._level_before)
