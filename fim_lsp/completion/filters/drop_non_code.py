"""Filters of text that is no code: markers of the model spelled as text, and fences of a chat."""

from __future__ import annotations

from fim_lsp.code.cursor import CursorContext
from fim_lsp.completion.non_code import FENCE, find_marker, has_fences


def cut_at_marker(text: str, context: CursorContext) -> str:
    """Cut before a marker that the model spelled as text, and the blanks in front of it.

    Example: ``x + 1<|endoftext|>`` becomes ``x + 1``.
    """
    start = find_marker(text, context)
    return text if start is None else text[:start].rstrip(" \t")


def strip_fences(text: str, context: CursorContext) -> str:
    r"""Drop the fence that the text begins with, and everything from the fence that ends it.

    Example: ``"```python\nx = 1\n```\nThis sets x."`` becomes ``"x = 1\n"``.
    """
    if FENCE not in text or has_fences(context):
        return text
    lines = text.split("\n")
    first = next((index for index, line in enumerate(lines) if line.strip()), 0)
    if lines[first].strip().startswith(FENCE):
        lines = lines[first + 1 :]
    end = next((index for index, line in enumerate(lines) if line.strip().startswith(FENCE)), None)
    return "\n".join(lines) if end is None else "".join(f"{line}\n" for line in lines[:end])
