r"""Open documents and positions, with lines as LSP defines them.

LSP ends lines at ``\n``, ``\r\n`` and ``\r`` only. pygls 2.1.1 splits with ``str.splitlines``, which also
splits at form feeds, vertical tabs and U+2028. In a file with one of those (CPython's own library has form
feeds) every later edit would land on the wrong line, and the text would no longer be the editor's. pygls also
turns a column past the end into the one before the end. So this module converts positions and applies edits
itself.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from attrs import evolve, frozen
from lsprotocol import types
from pygls.workspace import TextDocument, Workspace

from fim_lsp.lsp.line_index import LINE_BREAK, LineIndex

logger = logging.getLogger(__name__)

Encoding = types.PositionEncodingKind | str | None
MANY_CHANGES = 50
"""Changes of a message that are applied together. Fewer are faster one by one, above all in a large file."""
_DRIVE = re.compile(r"([a-z][\w+.-]*:/{1,3})([A-Za-z])(?::|%3[Aa])(?=/|$)")


def canonical_uri(uri: str) -> str:
    """Spell a drive of Windows in one way, because clients mix several for one document.

    Example: ``file:///C%3A/a.py`` -> ``file:///c:/a.py``.
    """
    found = _DRIVE.match(uri)
    return f"{found[1]}{found[2].lower()}:{uri[found.end() :]}" if found else uri


def offset_at(text: str, position: types.Position, encoding: Encoding, index: LineIndex | None = None) -> int:
    """Count the code points before ``position``; past the end of a line or document means its end.

    Args:
        text: the document.
        position: line and column, the column in code units of ``encoding``.
        encoding: the position encoding that client and server agreed on.
        index: the document's lines, if they are known.
    """
    index = index or LineIndex.of(text)
    start, end = index.start(position.line, text), index.end(position.line, text)
    # A character is at least one unit, so the rest of a line of megabytes need not be looked at.
    line = text[start : min(end, start + max(0, position.character) + 1)]
    return start + _code_points(line, position.character, encoding)


def units(text: str, encoding: Encoding) -> int:
    """Return the length of ``text`` in the code units that the client counts columns in."""
    if text.isascii() or encoding == types.PositionEncodingKind.Utf32:
        return len(text)
    if encoding == types.PositionEncodingKind.Utf8:
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _code_points(line: str, column: int, encoding: Encoding) -> int:
    """Return the index of a column in code units. A column inside a character means the one before it."""
    low, high = 0, max(0, min(column, len(line)))
    if line.isascii() or encoding == types.PositionEncodingKind.Utf32:
        return high
    # By halving: counting the units of a text is fast, looking at each character of it is not.
    left = column
    while low < high:
        middle = (low + high + 1) // 2
        if (taken := units(line[low:middle], encoding)) <= left:
            low, left = middle, left - taken
        else:
            high = middle - 1
    return low


class LspDocument(TextDocument):
    """A pygls document whose lines are LSP's."""

    _indexed: tuple[str, LineIndex] | None = None
    """The text that the line index is of, and the index."""

    @property
    def _index(self) -> LineIndex:
        source = self.source
        if self._indexed is None or self._indexed[0] is not source:
            self._indexed = source, LineIndex.of(source)
        return self._indexed[1]

    @property
    def lines(self) -> Sequence[str]:
        """Lines with their line breaks."""
        ends = [found.end() for found in LINE_BREAK.finditer(self.source)]
        parts = [self.source[a:b] for a, b in zip([0, *ends], ends, strict=False)]
        rest = self.source[ends[-1] if ends else 0 :]
        return (*parts, rest) if rest else tuple(parts)

    def offset_at_position(self, client_position: types.Position) -> int:
        """Count the code points before the client's position."""
        return offset_at(self.source, client_position, self.position_codec.encoding, self._index)

    def apply_changes(self, changes: Sequence[types.TextDocumentContentChangeEvent]) -> None:
        """Apply the changes of a message, in their order; many from the end of the document on at once.

        One by one, the 5,000 of a word that is replaced everywhere copy the document 5,000 times.
        """
        places = self._places_in(changes) if len(changes) >= MANY_CHANGES else None
        if places is None:
            for change in changes:
                self.apply_change(change)
            return
        text, behind, parts = self.source, len(self.source), list[str]()
        for change, (start, end) in zip(changes, places, strict=True):
            parts += (text[end:behind], change.text)
            behind = start
        self._source = "".join((text[:behind], *reversed(parts)))

    def _places_in(
        self, changes: Sequence[types.TextDocumentContentChangeEvent]
    ) -> list[tuple[int, int]] | None:
        """Return where changes begin and end in the text before all of them; None where one may move another.

        They must come from the end of the document on. A lone CR might get a LF behind it.
        """
        text, index, encoding = self.source, self._index, self.position_codec.encoding
        if text.count("\r") != text.count("\r\n"):
            return None
        places: list[tuple[int, int]] = []
        last_line = len(index.starts)
        former = last_line + 1, 0
        for change in changes:
            if not isinstance(change, types.TextDocumentContentChangePartial):
                return None
            start, end = change.range.start, change.range.end
            corner = start.line, start.character
            if not corner <= (end.line, end.character) <= former or start.line > last_line:
                return None
            begin = offset_at(text, start, encoding, index)
            if units(text[index.start(start.line, text) : begin], encoding) != start.character:
                # Past the end of its line, which the change before may have made longer.
                return None
            places.append((begin, offset_at(text, end, encoding, index)))
            former = corner
        return places

    def _apply_incremental_change(self, change: types.TextDocumentContentChangePartial) -> None:
        text = self.source
        start, end = sorted(
            (self.offset_at_position(change.range.start), self.offset_at_position(change.range.end))
        )
        index = self._index.after_edit(text, start, end, change.text)
        self._source = "".join((text[:start], change.text, text[end:]))
        self._indexed = self._source, index


@frozen
class NotebookCells:
    """The open cells of a notebook, in their order."""

    uri: str
    version: int
    """Counts the changes of all cells."""
    documents: tuple[LspDocument, ...]


class LspWorkspace(Workspace):
    """A pygls workspace that opens :class:`LspDocument`, one for all spellings of its URI."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._notebook_versions: Counter[str] = Counter()

    @classmethod
    def taking_over(cls, workspace: Workspace) -> LspWorkspace:
        """Return a workspace with the same folders and encoding. No document may be open yet."""
        folders = list(workspace.folders.values())
        return cls(
            workspace.root_uri, types.TextDocumentSyncKind.Incremental, folders, workspace.position_encoding
        )

    def find(self, uri: str) -> LspDocument | None:
        """Return an open document; None for one that is not open. pygls would read that from disk."""
        document = self._text_documents.get(unquote(canonical_uri(uri)))
        return document if isinstance(document, LspDocument) else None

    def put_text_document(
        self, text_document: types.TextDocumentItem, notebook_uri: str | None = None
    ) -> None:
        """Open a document. A URI that can't be parsed is no document's."""
        uri = canonical_uri(text_document.uri)
        try:
            super().put_text_document(evolve(text_document, uri=uri), notebook_uri)
        except ValueError as error:  # of urllib, for example for "file://["
            logger.warning("Ignored a document whose URI is none: %s", error)

    def remove_text_document(self, doc_uri: str) -> None:
        """Close a document."""
        super().remove_text_document(canonical_uri(doc_uri))

    def update_text_document(
        self, text_doc: types.VersionedTextDocumentIdentifier, change: types.TextDocumentContentChangeEvent
    ) -> None:
        """Apply an edit to an open document."""
        self.apply_changes(text_doc, (change,))

    def apply_changes(
        self,
        text_doc: types.VersionedTextDocumentIdentifier,
        changes: Sequence[types.TextDocumentContentChangeEvent],
    ) -> None:
        """Apply the edits of a message to an open document."""
        if (document := self.find(text_doc.uri)) is not None:
            document.apply_changes(changes)
            document.version = text_doc.version
            if (notebook := self.get_notebook_document(cell_uri=document.uri)) is not None:
                self._notebook_versions[notebook.uri] += 1

    def cells_beside(self, document: LspDocument) -> NotebookCells | None:
        """Return the cells of the notebook that a document is a cell of; None if it is in none."""
        notebook = self.get_notebook_document(cell_uri=document.uri)
        if notebook is None:
            return None
        found = (self.find(cell.document) for cell in notebook.cells)
        cells = tuple(cell for cell in found if cell is not None)
        if not any(cell is document for cell in cells):
            return None
        return NotebookCells(notebook.uri, self._notebook_versions[notebook.uri], cells)

    def cells_of(self, notebook_uri: str) -> tuple[LspDocument, ...]:
        """Return the open cells of a notebook, in their order."""
        notebook = self.get_notebook_document(notebook_uri=canonical_uri(notebook_uri))
        cells = (self.find(cell.document) for cell in notebook.cells) if notebook else ()
        return tuple(cell for cell in cells if cell is not None)

    def put_notebook_document(self, params: types.DidOpenNotebookDocumentParams) -> None:
        """Open a notebook and its cells."""
        uri = canonical_uri(params.notebook_document.uri)
        self._notebook_versions[uri] += 1
        super().put_notebook_document(
            evolve(params, notebook_document=evolve(params.notebook_document, uri=uri))
        )

    def update_notebook_document(self, params: types.DidChangeNotebookDocumentParams) -> None:
        """Apply a change to the cells of a notebook, their order or their texts."""
        uri = canonical_uri(params.notebook_document.uri)
        if self.get_notebook_document(notebook_uri=uri) is None:
            return
        self._notebook_versions[uri] += 1
        identifier = evolve(params.notebook_document, uri=uri)
        super().update_notebook_document(evolve(params, notebook_document=identifier))

    def remove_notebook_document(self, params: types.DidCloseNotebookDocumentParams) -> None:
        """Close a notebook and its cells."""
        identifier = types.NotebookDocumentIdentifier(canonical_uri(params.notebook_document.uri))
        super().remove_notebook_document(evolve(params, notebook_document=identifier))

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
