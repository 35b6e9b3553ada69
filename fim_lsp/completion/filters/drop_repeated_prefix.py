"""Filter of the cursor's line, which some models write again from its beginning."""

from __future__ import annotations

import re

from fim_lsp.code.cursor import CursorContext

_STATEMENT = re.compile(
    "return|const|let|var|val|def|class|function|func|fn|fun|import|from|if|elif|for|while|switch|match|struct|"
    "enum|interface|impl|pub|public|private|protected|static|async|yield|raise|throw|new|export|package|use|using"
)
"""Words that are never written twice in a row."""
_FEWEST_WORDS = 2
"""Words of a line that make its repetition no coincidence."""


def drop_repeated_prefix(text: str, context: CursorContext) -> str:
    """Drop what the text repeats of the cursor's line, up to the cursor.

    Example: behind ``return `` the text ``return a + b`` becomes ``a + b``.
    """
    written = context.line_prefix.strip()
    start = len(text) - len(text.lstrip(" \t"))
    if not written or not text.startswith(written, start) or not context.line_prefix[-1].isspace():
        return text
    if len(written.split()) < _FEWEST_WORDS and not _STATEMENT.fullmatch(written):
        return text
    left = text[start + len(written) :]
    return left.lstrip(" \t") if left[:1].isspace() else text
