"""Filter: one kind of line break, whatever the model was fed."""

from __future__ import annotations

from fim_lsp.types import CompletionRequest


def newlines(text: str, request: CompletionRequest) -> str:
    r"""Write every line break as ``\n``; the handler gives the editor what its document uses."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
