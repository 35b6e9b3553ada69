"""Decide where completion is enabled: the settings' switches, and the files that hold secrets."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import PurePath

from attrs import frozen

from fim_lsp.code.languages import find_language
from fim_lsp.settings import CompletionSettings, Settings
from fim_lsp.types import CompletionRequest, DocumentSnapshot, Trigger

_PRIVATE_KEY = re.compile(r"\s*-----BEGIN [A-Z ]*PRIVATE KEY")


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
    return (
        document.language_id in completion.disabled_languages
        or any(matches_any(path, completion.disabled_files) for path in paths)
        or bool(_PRIVATE_KEY.match(document.text))
    )


def matches_any(path: PurePath, patterns: tuple[str, ...]) -> bool:
    """Tell whether one of the glob patterns fits a file; see :func:`matches_file`."""
    sorted_patterns = _sort(patterns)
    name = path.name.lower()
    return (
        name in sorted_patterns.names
        or name.endswith(sorted_patterns.endings)
        or name.startswith(sorted_patterns.beginnings)
        or any(part.lower() in sorted_patterns.folders for part in path.parts[:-1])
        or any(matches_file(path, pattern) for pattern in sorted_patterns.others)
    )


@frozen
class _SortedPatterns:
    """Patterns by kind, in lower case: one by one, a hundred of them take half a millisecond a document."""

    names: frozenset[str]
    endings: tuple[str, ...]
    beginnings: tuple[str, ...]
    folders: frozenset[str]
    others: tuple[str, ...]


@lru_cache(maxsize=16)
def _sort(patterns: tuple[str, ...]) -> _SortedPatterns:
    left = {pattern.lower() for pattern in patterns}
    plain = re.compile(r"[^*?\[/]*[^*?\[/.]")

    def take(form: str) -> frozenset[str]:
        """Take the patterns of a form, where ``{}`` stands for plain text; return that text."""
        before, after = form.split("{}")
        found = {each for each in left if each.startswith(before) and each.endswith(after)}
        texts = {each: each[len(before) : len(each) - len(after)] for each in found}
        taken = {each for each, text in texts.items() if plain.fullmatch(text)}
        left.difference_update(taken)
        return frozenset(texts[each] for each in taken)

    names, endings, beginnings = take("{}"), take("*{}"), take("{}*")
    folders = take("{}/**")
    return _SortedPatterns(names, tuple(endings), tuple(beginnings), folders, tuple(sorted(left)))


def matches_file(path: PurePath, pattern: str) -> bool:
    """Tell whether a glob pattern fits a file's name or, with a slash in it, the end of its path.

    Case does not matter: ``.ssh/*`` fits ``/home/me/.SSH/id``. ``.ssh/**`` fits all files below such a
    folder, and ``id_*.`` names without an extension.
    """
    if pattern.endswith("/**"):
        return any(matches_file(folder, pattern.removesuffix("/**")) for folder in path.parents)
    if pattern.endswith("."):
        return not path.suffix and matches_file(path, pattern.removesuffix("."))
    parts = path.parts[-(pattern.count("/") + 1) :]
    return fnmatchcase("/".join(parts).lower(), pattern.lower())
