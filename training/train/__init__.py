"""Train a LoRA on a data set: one plain loop, its losses, checkpoints and held-out evaluation."""

from __future__ import annotations

from fim_lsp.errors import FimLspError


class TrainError(FimLspError):
    """A run that can't begin or can't continue."""
