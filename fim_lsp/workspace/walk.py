"""List one folder: the files that may be read, and the folders to go on with."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import field, frozen

from fim_lsp.code.languages import language_of
from fim_lsp.workspace.file_names import file_name_problem, is_left_out_folder
from fim_lsp.workspace.file_text import MOST_BYTES, FileStamp
from fim_lsp.workspace.ignore_rules import IGNORE_FILES, IgnoreRules

_MARKS = frozenset(("pyvenv.cfg", "CACHEDIR.TAG"))
"""Files that mark a folder as a Python environment or a cache, whatever its name is."""

IsDisabled = Callable[[str], bool]
"""Tells whether completion is off for a file, by its path."""


@frozen
class FolderListing:
    """The content of a folder, without all that is left out."""

    files: Mapping[str, FileStamp] = field(factory=dict, repr=False)
    """By path."""
    folders: tuple[str, ...] = ()
    rules: IgnoreRules = field(factory=IgnoreRules, repr=False)
    """Those for what is in the folder."""


def list_folder(folder: str, above: IgnoreRules, is_disabled: IsDisabled) -> FolderListing:
    """List a folder. Links are not followed: what they lead to in the workspace is found at its own place.

    Args:
        folder: Its path, without links.
        above: The rules of the folder above.
        is_disabled: Leaves out the files that may hold secrets.

    Raises:
        OSError: it can't be listed.
    """
    rules = above.entering(folder)
    files: dict[str, FileStamp] = {}
    folders: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name in _MARKS:
                return FolderListing(rules=rules)
            if entry.is_dir(follow_symlinks=False):
                # A junction of Windows counts as a folder there; its real path differs.
                if not is_left_out_folder(entry.name) and not rules.ignores(entry.path, is_folder=True):
                    folders.append(entry.path)
            elif (stamp := _stamp_of(entry, rules, is_disabled)) is not None:
                files[entry.path] = stamp
    return FolderListing(files, tuple(sorted(folders)), rules)


def _stamp_of(entry: os.DirEntry[str], rules: IgnoreRules, is_disabled: IsDisabled) -> FileStamp | None:
    """Return the stamp of a file that may be read, else None."""
    name = entry.name
    if (
        name in IGNORE_FILES
        or language_of(name) is None
        or file_name_problem(name)
        or is_disabled(entry.path)
    ):
        return None
    try:
        if not entry.is_file(follow_symlinks=False) or rules.ignores(entry.path, is_folder=False):
            return None
        stamp = FileStamp.of(entry.stat(follow_symlinks=False))
    except OSError:
        return None
    return stamp if stamp.size <= MOST_BYTES else None


def refuse(folder: str) -> str:
    """Return why a folder is not indexed as a workspace; empty if it may be.

    Nobody means to have the whole home folder or disk read.
    """
    try:
        home = os.path.realpath(Path.home())
    except (RuntimeError, OSError):
        home = ""
    if os.path.dirname(folder) == folder:
        return "it is the root of a disk"
    if home and (folder == home or home.startswith(folder.rstrip(os.sep) + os.sep)):
        return "it is your home folder or holds it"
    return "" if os.path.isdir(folder) else "there is no such folder"
