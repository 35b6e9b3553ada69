"""Lines of text, and the bounded window of text around a cursor.

``request.prefix`` and ``request.suffix`` copy the whole document. A document may have megabytes and a line
a hundred thousand characters, so everything behind the model looks through a window instead.
"""

from __future__ import annotations

import re

from attrs import field, frozen

from fim_lsp.types import CompletionRequest

_CLOSERS = re.compile(r"""[\s)\]}>"'`;,:]*""")


@frozen
class CursorWindow:
    r"""The text before and after a cursor, with line breaks as ``\n`` whatever the document uses."""

    before: str = field(repr=False)
    """From a line start, where one is within reach, up to the cursor."""
    after: str = field(repr=False)
    """From the cursor on. Its last line is whole, unless the cursor's own line outgrows the window."""
    whole_after: bool
    """True if the document ends within the window."""

    @property
    def lines_below(self) -> list[str]:
        """The lines below the cursor's line, top to bottom."""
        return self.after.split("\n")[1:]


def window_around(request: CompletionRequest, before: int, after: int) -> CursorWindow:
    """Take at most ``before`` characters in front of the cursor and ``after`` behind it."""
    text, offset = request.document.text, request.offset
    start = max(0, offset - before)
    if start:
        # From start - 1, so that a window that begins right at a line start keeps that line.
        start = max(start, text.find("\n", start - 1, offset) + 1)
    tail = _unix(text[offset : offset + after])
    whole = offset + after >= len(text)
    if not whole and "\n" in tail:
        tail = tail[: tail.rfind("\n")]
    return CursorWindow(_unix(text[start:offset] + request.selected_text), tail, whole)


def indent_width(line: str, tab_size: int) -> int:
    r"""Count the columns of blank space that ``line`` begins with.

    Example: ``"\t  x"`` with tabs of 4 columns gives 6.
    """
    return len(line[: len(line) - len(line.lstrip())].expandtabs(max(1, tab_size)))


def only_closers(text: str) -> bool:
    """Tell whether ``text`` is empty or holds only what editors insert by themselves.

    Example: ``"):"`` and ``' "'`` do, ``") + b"`` does not.
    """
    return _CLOSERS.fullmatch(text) is not None


def is_word(char: str) -> bool:
    """Tell whether ``char`` may be part of a name or a number."""
    return char.isalnum() or char == "_"


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")
