"""Filter: a suggestion of nothing but blanks is none."""

from __future__ import annotations

from fim_lsp.types import CompletionRequest


def blank(text: str, request: CompletionRequest) -> str:
    """Drop a suggestion that shows nothing."""
    return text if text.strip() else ""
