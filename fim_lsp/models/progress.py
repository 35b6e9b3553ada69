"""Progress of a pull, as the sources and the store report it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from attrs import frozen


@frozen
class Progress:
    """Bytes that were fetched, checked or joined so far."""

    stage: Literal["fetch", "check", "join"]
    done: int
    total: int
    """Bytes in all. Approximate as long as only the catalog's size is known."""


OnProgress = Callable[[Progress], None]
"""Called several times a second, on the thread that pulls."""


def checking(on_progress: OnProgress) -> Callable[[int, int], None]:
    """Report a digest that is being computed, for :func:`fim_lsp.files.sha256_of`."""
    return lambda done, total: on_progress(Progress("check", done, total))
