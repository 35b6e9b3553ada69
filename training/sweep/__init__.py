"""Search for the recipe that suits a repository and a base."""

from __future__ import annotations

from fim_lsp.errors import FimLspError


class SweepError(FimLspError):
    """A search that can't begin, in which no trial finished, or whose result can't be written."""
