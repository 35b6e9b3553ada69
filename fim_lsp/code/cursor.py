"""The code around a cursor: built once for each request, and handed to all that look at it.

Stop rules, filters, the syntax check and the choice of one line or several all ask the same questions:
which line is this, what follows, which string or bracket is open. Each answer is computed when first asked
for and kept in the context, which lives as long as its request.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from fim_lsp.code.brackets import EnclosingBrackets, find_enclosing
from fim_lsp.code.embedded import find_embedded
from fim_lsp.code.languages import find_language
from fim_lsp.code.lexical import Inside, Scan, scan, without_comment
from fim_lsp.code.lines import CursorWindow, indent_width, window_around
from fim_lsp.code.nesting import Kind, Nesting, OpenPair, has_elements, is_markup, read_nesting
from fim_lsp.types import CompletionRequest

if TYPE_CHECKING:
    from fim_lsp.code.syntax import CursorScope, ParsedWindow

_HEADER = re.compile(r"(?:[:({\[]|=>|->|\b(?:then|do|else|begin|of))\s*$")
"""Ends of a line that a deeper line follows."""
WINDOW = 4096
"""Characters looked at on either side of the cursor, about a hundred lines."""
_OPENED_CHARACTER = re.compile(r"(?<![\w'])'\\?$")
WIDE_BEFORE, WIDE_AFTER = 8192, 2048
"""Characters that a parser sees: more in front, so that it begins outside of strings and blocks."""


@frozen
class CursorContext:
    """The code around a cursor, and how its document is written."""

    language_id: str
    tab_size: int
    insert_spaces: bool
    near: CursorWindow
    """The text that is scanned for strings, comments and brackets."""
    wide: CursorWindow
    """The text that is parsed."""

    @classmethod
    def of(cls, request: CompletionRequest) -> CursorContext:
        """Look around the cursor of ``request``. Copies a few thousand characters and scans nothing yet.

        A script or style within markup is looked at by itself, in its own language.
        """
        document, offset = request.document, request.offset
        embedded = find_embedded(document.text, offset, document.language_id)
        room = offset - embedded.start if embedded else offset
        wide = window_around(request, min(WIDE_BEFORE, room), WIDE_AFTER)
        return cls(
            embedded.language_id if embedded else document.language_id,
            request.tab_size,
            request.insert_spaces,
            window_around(request, min(WINDOW, room), WINDOW),
            evolve(wide, after=wide.after.partition(embedded.close)[0]) if embedded else wide,
        )

    @cached_property
    def line_prefix(self) -> str:
        """The cursor's line up to the cursor."""
        return self.near.before[self.near.before.rfind("\n") + 1 :]

    @cached_property
    def line_suffix(self) -> str:
        """The cursor's line from the cursor on, without trailing blanks."""
        return self.near.after.partition("\n")[0].rstrip()

    @cached_property
    def lines_above(self) -> list[str]:
        """The lines above the cursor's line, top to bottom."""
        return self.near.before.split("\n")[:-1]

    @cached_property
    def lines_below(self) -> list[str]:
        """The lines below the cursor's line, top to bottom."""
        return self.near.lines_below

    @cached_property
    def next_line(self) -> str:
        """The first line below the cursor's that isn't blank, without trailing blanks, or ``""``."""
        return next((line.rstrip() for line in self.lines_below if line.strip()), "")

    @cached_property
    def inside(self) -> Inside | None:
        """The string or comment that the cursor is in."""
        return self._scan_before.inside

    @cached_property
    def scope(self) -> CursorScope:
        """The kind of text that the cursor is in, by the syntax tree where there is one."""
        from fim_lsp.code.syntax import locate_cursor  # which itself reads a context

        return locate_cursor(self)

    @cached_property
    def parsed(self) -> ParsedWindow:
        """The code as it stands, and its syntax tree."""
        from fim_lsp.code.syntax import parse_window  # which itself reads a context

        return parse_window(self)

    @cached_property
    def syntax_errors(self) -> int:
        """The places that a parser could not make sense of in the code as it stands."""
        from fim_lsp.code.syntax import count_syntax_errors  # which itself reads a context

        return count_syntax_errors(self, "")

    def prepare(self) -> None:
        """Compute now what every suggestion at this cursor will be compared with."""
        _ = self.syntax_errors, self.nesting, self.brackets

    @cached_property
    def brackets(self) -> EnclosingBrackets:
        """The brackets open at the cursor, and those that close them."""
        after = scan(self.near.after, self.language_id, self.inside)
        return find_enclosing(self.near, self._scan_before, after, self.tab_size)

    @cached_property
    def lacking_openers(self) -> int:
        """The number of closers on the rest of the line that close nothing: the suggestion opens them."""
        on_line = [closer for closer in self.brackets.closers if closer.position < len(self.line_suffix)]
        return len(on_line) - self.brackets.count_matched(self.brackets.openers, on_line)

    @cached_property
    def opener_indentation(self) -> str:
        """The indentation of the line with the innermost open bracket, or else of the cursor's line."""
        position = self.brackets.openers[-1].position if self.brackets.openers else len(self.near.before)
        start = self.near.before.rfind("\n", 0, int(position)) + 1
        line = self.near.before[start:].partition("\n")[0]
        return line[: len(line) - len(line.lstrip())]

    @cached_property
    def line_above(self) -> str:
        """The nearest line above the cursor's that is not blank; empty if there is none."""
        return next((line for line in reversed(self.lines_above) if line.strip()), "")

    @cached_property
    def deepest_lead(self) -> int:
        """The blanks that a suggestion may begin with on a blank line: a level below a header, else none."""
        above, column = self.line_above, indent_width(self.line_prefix, self.tab_size)
        code = without_comment(above, self.language_id)
        if not _HEADER.search(code) or indent_width(above, self.tab_size) < column:
            return 0
        return len(self.level_below(above))

    def level_below(self, line: str) -> str:
        """Return the blanks of one level of indentation below a line."""
        return "\t" if line.startswith("\t") or not self.insert_spaces else " " * self.tab_size

    @cached_property
    def nesting(self) -> tuple[OpenPair, ...]:
        """The pairs open at the cursor, outermost first: brackets, strings, interpolations, tags."""
        pairs = read_nesting(self.near.before, self.language_id).open
        return (*pairs, OpenPair(Kind.STRING, "'", one_line=True)) if self._in_character else pairs

    @cached_property
    def in_markup(self) -> bool:
        """True within a tag, an attribute or an element, and anywhere in a document of markup."""
        if not has_elements(self.language_id):
            return False
        kinds = {pair.kind for pair in self.nesting}
        return is_markup(self.language_id) or not kinds.isdisjoint((Kind.TAG, Kind.ELEMENT))

    @cached_property
    def in_prose(self) -> bool:
        """True where brackets are plain characters: in prose, and in the text of a markup element."""
        if find_language(self.language_id).prose or not has_elements(self.language_id):
            return find_language(self.language_id).prose
        innermost = self.nesting[-1].kind if self.nesting else None
        return innermost is Kind.ELEMENT or (innermost is None and is_markup(self.language_id))

    @property
    def _in_character(self) -> bool:
        """True between the quotes of a character that the editor closed: ``'|'``."""
        if not find_language(self.language_id).delimiters.chars or not self.line_suffix.startswith("'"):
            return False
        return _OPENED_CHARACTER.search(self.line_prefix) is not None

    def read_inserted(self, text: str) -> Nesting:
        """Read ``text`` as if it stood at the cursor."""
        return read_nesting(text, self.language_id, self.nesting)

    def scan_inserted(self, text: str) -> Scan:
        """Scan ``text`` as if it stood at the cursor, in the string or comment that the cursor is in."""
        return scan(text, self.language_id, self.inside)

    @cached_property
    def _scan_before(self) -> Scan:
        return scan(self.near.before, self.language_id)
