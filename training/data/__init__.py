"""From repositories to rows: walk, filter, deduplicate, split, choose holes, build rows, store."""

from __future__ import annotations

from fim_lsp.errors import FimLspError


class DataError(FimLspError):
    """Sources that hold nothing to train on, or a data set that can't be read or written."""
