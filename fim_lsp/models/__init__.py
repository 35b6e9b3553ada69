"""GGUF files: which there are, where they come from, whether they can be trusted."""

from __future__ import annotations

from fim_lsp.errors import FimLspError


class ModelError(FimLspError):
    """A model file or name that can't be used; the problem names the file, the remedy what to do."""
