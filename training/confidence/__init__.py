"""Fit the model that decides which suggestions are shown: ``python -m training confidence``.

``positions`` chooses cursors in code, ``collect`` lets the server's own pipeline suggest there, ``fit`` fits
a logistic model on what came, and ``report`` measures it on other repositories. ``command`` is the command
line.
"""

from __future__ import annotations

from fim_lsp.errors import FimLspError


class ConfidenceError(FimLspError):
    """Samples that can't be collected, read or fitted on."""
