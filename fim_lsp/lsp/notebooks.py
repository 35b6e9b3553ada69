"""See the cells of a notebook as one document: those above come before the prefix, those below after it.

A model that sees one cell alone knows none of the names that the cells above define. So a request in a cell
is a request in the text of all cells of its language, in their order, with a blank line between two::

    import json          import json
    ----
    json.lo|        ->   json.lo|
    ----
    print(data)          print(data)

Cells of other languages and text are left out. The document has the notebook's URI: it names the file, so
that settings by file, snippets and feedback treat the notebook as they treat other files.
"""

from __future__ import annotations

from attrs import evolve, frozen

from fim_lsp.lsp.documents import LspDocument, LspWorkspace
from fim_lsp.types import DocumentSnapshot

_BETWEEN = "\n\n"


@frozen
class CellPlace:
    """A document as the completer sees it, and where a document of the client begins in it."""

    snapshot: DocumentSnapshot
    start: int = 0


def place_of(workspace: LspWorkspace, document: LspDocument) -> CellPlace:
    """Return the place of an open document: in its notebook if it is a cell, else at its own beginning."""
    snapshot = to_snapshot(document)
    cells = workspace.cells_beside(document)
    if cells is None:
        return CellPlace(snapshot)
    alike = [cell for cell in cells.documents if cell is document or cell.language_id == document.language_id]
    above = alike[: next(index for index, cell in enumerate(alike) if cell is document)]
    text = _BETWEEN.join(cell.source for cell in alike)
    start = sum(len(cell.source) + len(_BETWEEN) for cell in above)
    return CellPlace(evolve(snapshot, uri=cells.uri, version=cells.version, text=text), start)


def to_snapshot(document: LspDocument) -> DocumentSnapshot:
    """Return a frozen copy of a live document."""
    return DocumentSnapshot(
        document.uri, document.language_id or "plaintext", document.version or 0, document.source
    )
