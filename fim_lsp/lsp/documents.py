r"""Open documents and positions, with lines as LSP defines them.

LSP ends lines at ``\n``, ``\r\n`` and ``\r`` only. pygls 2.1.1 splits with ``str.splitlines``, which also
splits at form feeds, vertical tabs and U+2028. In a file with one of those (CPython's own library has form
feeds) every later edit would land on the wrong line, and the text would no longer be the editor's. pygls also
turns a column past the end into the one before the end. So this module converts positions and applies edits
itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

from lsprotocol import types
from pygls.workspace import TextDocument, Workspace

_LINE_BREAK = re.compile(r"\r\n|\n|\r")
Encoding = types.PositionEncodingKind | str | None


def offset_at(text: str, position: types.Position, encoding: Encoding) -> int:
    """Return the code points before ``position``. Past the end of a line or document means its end."""
    start = _line_start(text, position.line)
    found = _LINE_BREAK.search(text, start)
    line = text[start : found.start() if found else len(text)]
    return start + _code_points(line, position.character, encoding)


def units(text: str, encoding: Encoding) -> int:
    """Return the length of ``text`` in the code units that the client counts columns in."""
    if text.isascii() or encoding == types.PositionEncodingKind.Utf32:
        return len(text)
    if encoding == types.PositionEncodingKind.Utf8:
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text) + sum(char > "\uffff" for char in text)


def _line_start(text: str, line: int) -> int:
    if line <= 0:
        return 0
    found = next(islice(_LINE_BREAK.finditer(text), line - 1, None), None)
    return found.end() if found else len(text)


def _code_points(line: str, column: int, encoding: Encoding) -> int:
    """Return the index of a column in code units. A column inside a character means the one before it."""
    if line.isascii() or encoding == types.PositionEncodingKind.Utf32:
        return max(0, min(column, len(line)))
    spent = 0
    for index, char in enumerate(line):
        spent += units(char, encoding)
        if spent > column:
            return index
    return len(line)


class LspDocument(TextDocument):
    """A pygls document whose lines are LSP's."""

    @property
    def lines(self) -> Sequence[str]:
        """Lines with their line breaks."""
        ends = [found.end() for found in _LINE_BREAK.finditer(self.source)]
        parts = [self.source[a:b] for a, b in zip([0, *ends], ends, strict=False)]
        rest = self.source[ends[-1] if ends else 0 :]
        return (*parts, rest) if rest else tuple(parts)

    def offset_at_position(self, client_position: types.Position) -> int:
        """Code points before the client's position."""
        return offset_at(self.source, client_position, self.position_codec.encoding)

    def _apply_incremental_change(self, change: types.TextDocumentContentChangePartial) -> None:
        text = self.source
        start, end = sorted(
            (self.offset_at_position(change.range.start), self.offset_at_position(change.range.end))
        )
        self._source = text[:start] + change.text + text[end:]


class LspWorkspace(Workspace):
    """A pygls workspace that opens :class:`LspDocument`."""

    @classmethod
    def taking_over(cls, workspace: Workspace) -> LspWorkspace:
        """Return a workspace with the same folders and encoding. No document may be open yet."""
        folders = list(workspace.folders.values())
        return cls(
            workspace.root_uri, types.TextDocumentSyncKind.Incremental, folders, workspace.position_encoding
        )

    def _create_text_document(
        self,
        doc_uri: str,
        source: str | None = None,
        version: int | None = None,
        language_id: str | None = None,
    ) -> LspDocument:
        return LspDocument(
            doc_uri,
            source=source,
            version=version,
            language_id=language_id,
            sync_kind=self._sync_kind,
            position_codec=self._position_codec,
        )
