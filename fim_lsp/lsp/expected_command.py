"""The command ``fimLsp.expected``: record a range of a document as the suggestion that was expected there."""

from __future__ import annotations

import asyncio
from typing import Any

from lsprotocol import types

from fim_lsp.completion.enabled import is_disabled
from fim_lsp.errors import FimLspError
from fim_lsp.feedback.expected import ExpectedSuggestion, expected_path, record_expected
from fim_lsp.lsp.documents import LspDocument
from fim_lsp.lsp.notebooks import CellPlace, to_snapshot
from fim_lsp.settings import CompletionSettings


async def record_range(
    document: LspDocument,
    start: types.Position,
    end: types.Position,
    settings: CompletionSettings,
    place: CellPlace | None = None,
) -> dict[str, Any]:
    """Record a range, and return how many cases there are and what went wrong, for the editor to show.

    ``place`` is where the document is, for a cell of a notebook: the other cells are around the range then.
    """
    place = place or CellPlace(to_snapshot(document))
    snapshot = place.snapshot
    if is_disabled(snapshot, settings):
        return {"recorded": 0, "problem": "Suggestions are off in this file, so nothing of it is kept."}
    first, last = (place.start + document.offset_at_position(each) for each in (start, end))
    try:
        case = ExpectedSuggestion.of(snapshot.path.name, snapshot.language_id, snapshot.text, first, last)
        return {"recorded": await asyncio.to_thread(record_expected, expected_path(), case), "problem": ""}
    except FimLspError as error:
        return {"recorded": 0, "problem": str(error)}
