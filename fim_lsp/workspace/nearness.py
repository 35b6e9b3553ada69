"""Put files in order: those near an open file first, because the budget may not hold all of them."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePath

from attrs import field, frozen

from fim_lsp.code.languages import language_of
from fim_lsp.workspace.file_text import FileStamp


@frozen
class OpenPlace:
    """A file that an editor has open, as far as other files are near it."""

    path: str
    """Without links."""
    language: str = ""
    imported: frozenset[str] = field(default=frozenset(), repr=False)
    """The words of its imports."""

    @property
    def folder(self) -> str:
        """The folder it is in."""
        return os.path.dirname(self.path)


def order_files(
    files: Mapping[str, FileStamp], opened: Sequence[OpenPlace], recent: Collection[str] = ()
) -> list[str]:
    """Return the paths of files, the nearest first.

    In the folder of an open file; imported by one; in the language of one; changed in git recently; the rest.
    In each of these classes, the file that was written last comes first.

    Args:
        files: all files, by path.
        opened: the files that are open.
        recent: paths of files that git's last commits changed.
    """
    folders = {file.folder for file in opened}
    imported = frozenset().union(*(file.imported for file in opened))
    languages = {file.language for file in opened}

    def key(path: str) -> tuple[int, int, str]:
        name = os.path.basename(path)
        if os.path.dirname(path) in folders:
            rank = 0
        elif name.partition(".")[0] in imported or _is_package(path, imported):
            rank = 1
        elif _language(name) in languages:
            rank = 2
        else:
            rank = 3 if path in recent else 4
        return rank, -files[path].modified_ns, path

    return sorted(files, key=key)


def _is_package(path: str, imported: Collection[str]) -> bool:
    """Tell whether a file stands for its folder, and that is imported: ``shop/__init__.py``."""
    pure = PurePath(path)
    return pure.stem in ("__init__", "index", "mod") and pure.parent.name in imported


def _language(name: str) -> str:
    language = language_of(name)
    return language.id if language is not None else ""
