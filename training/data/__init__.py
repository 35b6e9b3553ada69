"""Turn repositories into training rows: walk, filter, deduplicate, split, cut holes, build rows, store."""

from __future__ import annotations

from fim_lsp.errors import FimLspError


class DataError(FimLspError):
    """Sources without anything to train on, or a data set that can't be read or written."""
