"""How far a pull has come: the one value that both sources and the store report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from attrs import frozen


@frozen
class Progress:
    """Bytes fetched, checked or joined so far, out of how many."""

    stage: Literal["fetch", "check", "join"]
    done: int
    total: int
    """About, where the catalog's size stands in for one that is not known yet."""


OnProgress = Callable[[Progress], None]
"""Called some times a second from the thread that pulls."""


def checking(on_progress: OnProgress) -> Callable[[int, int], None]:
    """Report a digest that is being computed, for :func:`fim_lsp.files.sha256_of`."""
    return lambda done, total: on_progress(Progress("check", done, total))
