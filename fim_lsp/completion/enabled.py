"""Decide where completion is enabled: the settings' switches, and the files that hold secrets."""

from __future__ import annotations

from fnmatch import fnmatchcase

from fim_lsp.settings import CompletionSettings, Settings
from fim_lsp.types import CompletionRequest, DocumentSnapshot, Trigger


def is_enabled(request: CompletionRequest, settings: Settings) -> bool:
    """Tell whether a request is to be answered."""
    completion = settings.completion
    if is_disabled(request.document, completion):
        return False
    return completion.enabled and (completion.automatic or request.trigger is Trigger.INVOKED)


def is_disabled(document: DocumentSnapshot, completion: CompletionSettings) -> bool:
    """Tell whether a document has no completions; then no other document's prompt may show it either."""
    name = document.path.name
    return document.language_id in completion.disabled_languages or any(
        fnmatchcase(name, pattern) for pattern in completion.disabled_files
    )
