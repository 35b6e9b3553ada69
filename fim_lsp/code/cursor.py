"""The text around the cursor, bounded: what the stop rules, the filters and the scanner look at.

``request.prefix`` and ``request.suffix`` copy the whole document. A document may have megabytes and a line
a hundred thousand characters, so everything after the model looks through this window instead.
"""

from __future__ import annotations

from attrs import field, frozen

from fim_lsp.types import CompletionRequest

WINDOW = 4096
"""Characters looked at on either side of the cursor, about a hundred lines."""


@frozen
class Surroundings:
    r"""What stands before and after the cursor, with line breaks as ``\n`` whatever the document uses."""

    before: str = field(repr=False)
    """From a line start, where one is within the window, up to the cursor."""
    after: str = field(repr=False)
    """From the cursor on. Its last line is whole, unless the cursor's own line outgrows the window."""
    whole_after: bool
    """True if the document ends within the window."""

    @property
    def line_prefix(self) -> str:
        """The cursor's line up to the cursor."""
        return self.before[self.before.rfind("\n") + 1 :]

    @property
    def rest(self) -> str:
        """The cursor's line from the cursor on, without trailing blanks."""
        return self.after.partition("\n")[0].rstrip()

    @property
    def lines_above(self) -> list[str]:
        """The lines above the cursor's line, top to bottom."""
        return self.before.split("\n")[:-1]

    @property
    def lines_below(self) -> list[str]:
        """The lines below the cursor's line, top to bottom."""
        return self.after.split("\n")[1:]

    @property
    def next_line(self) -> str:
        """The first line below the cursor's that isn't blank, without trailing blanks, or ``""``."""
        return next((line.rstrip() for line in self.lines_below if line.strip()), "")


def surroundings(request: CompletionRequest, before: int = WINDOW, after: int = WINDOW) -> Surroundings:
    """Look ``before`` and ``after`` many characters around the cursor."""
    text, offset = request.document.text, request.offset
    start = max(0, offset - before)
    if start:
        # From start - 1, so that a window that begins right at a line start keeps that line.
        start = max(start, text.find("\n", start - 1, offset) + 1)
    tail = _unix(text[offset : offset + after])
    whole = offset + after >= len(text)
    if not whole and "\n" in tail:
        tail = tail[: tail.rfind("\n")]
    return Surroundings(_unix(text[start:offset] + request.selected_text), tail, whole)


def indent_width(line: str, tab_size: int) -> int:
    """Columns of blank space that ``line`` begins with."""
    return len(line[: len(line) - len(line.lstrip())].expandtabs(max(1, tab_size)))


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")
