"""Decide where completion is enabled: the settings' switches, and the files that hold secrets."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import PurePath

from fim_lsp.code.languages import find_language
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
    # A document of the language dotenv counts as one named .env, whatever its name is.
    is_dotenv = find_language(document.language_id).id == "dotenv"
    paths = (document.path, PurePath(".env")) if is_dotenv else (document.path,)
    return document.language_id in completion.disabled_languages or any(
        matches_file(path, pattern) for path in paths for pattern in completion.disabled_files
    )


def matches_file(path: PurePath, pattern: str) -> bool:
    """Tell whether a glob pattern fits a file's name or, with a slash in it, the end of its path.

    Case does not matter: ``.ssh/*`` fits ``/home/me/.SSH/id``.
    """
    parts = path.parts[-(pattern.count("/") + 1) :]
    return fnmatchcase("/".join(parts).lower(), pattern.lower())
