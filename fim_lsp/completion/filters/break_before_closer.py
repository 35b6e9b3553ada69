"""Filter of the closer behind a text of several lines, which belongs on a line of its own."""

from __future__ import annotations

from fim_lsp.code.cursor import CursorContext
from fim_lsp.code.lexical import Scope
from fim_lsp.completion.filters.replace_range import compute_replace_range

_CLOSING = (")", "]", "}", "</")


def break_before_closer(text: str, context: CursorContext) -> str:
    r"""End a block with a line break where the closer of its opener follows the cursor.

    The closer goes to the indentation of its opener's line. So does one that a comment would swallow.

    Example: for ``f() {|}`` the text ``"\n  a();"`` becomes ``"\n  a();\n"``.
    """
    if "\n" not in text or not text.rpartition("\n")[2].strip():
        return text
    left = context.line_suffix[compute_replace_range(text, context) :].lstrip()
    if not left.startswith(_CLOSING):
        return text
    inside = context.scan_inserted(text).inside
    in_comment = inside is not None and inside.scope is Scope.COMMENT and inside.one_line
    if not text.lstrip(" \t").startswith("\n") and not in_comment:
        return text
    return f"{text.rstrip()}\n{context.opener_indentation}"
