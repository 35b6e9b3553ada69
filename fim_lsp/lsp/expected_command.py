"""The command ``fimLsp.expected``: record a range of a document as the suggestion that was expected there."""

from __future__ import annotations

import asyncio
from typing import Any

from lsprotocol import types

from fim_lsp.completion.enabled import is_disabled
from fim_lsp.errors import FimLspError
from fim_lsp.feedback.expected import ExpectedSuggestion, expected_path, record_expected
from fim_lsp.lsp.documents import LspDocument
from fim_lsp.lsp.notebooks import to_snapshot
from fim_lsp.settings import CompletionSettings


async def record_range(
    document: LspDocument, start: types.Position, end: types.Position, settings: CompletionSettings
) -> dict[str, Any]:
    """Record a range, and return how many cases there are and what went wrong, for the editor to show."""
    snapshot = to_snapshot(document)
    if is_disabled(snapshot, settings):
        return {"recorded": 0, "problem": "Suggestions are off in this file, so nothing of it is kept."}
    first, last = document.offset_at_position(start), document.offset_at_position(end)
    try:
        case = ExpectedSuggestion.of(snapshot.path.name, snapshot.language_id, snapshot.text, first, last)
        return {"recorded": await asyncio.to_thread(record_expected, expected_path(), case), "problem": ""}
    except FimLspError as error:
        return {"recorded": 0, "problem": str(error)}
