"""Filter of the first line's indentation on a blank line, where the editor has put the cursor in place."""

from __future__ import annotations

from fim_lsp.code.cursor import CursorContext


def align_first_line(text: str, context: CursorContext) -> str:
    r"""Begin the first line at the cursor's column, or one level deeper below a header.

    Example: in column 4 below ``def f():`` the text ``"    return 1"`` becomes ``"return 1"``.
    """
    if not context.line_prefix or context.line_prefix.strip() or not text[:1].isspace():
        return text
    body = text.lstrip(" \t")
    if not body or body[0] == "\n":
        return text
    return text[: len(text) - len(body)][: context.deepest_lead] + body
