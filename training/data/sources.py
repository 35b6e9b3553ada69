"""List the sources of training data: repositories, folders, installed packages, and packages from ``corpus``.

Each becomes a :class:`Source`: a root with file names and the licences that govern them.
:mod:`training.data.screening` reads the files.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import evolve, field, frozen

from training.data import DataError
from training.data.licences import declared_licence, folder_licences, governing_licence, is_permissive
from training.data.screening import CandidateFile
from training.data.walk import leads_out, list_files, list_submodules, name_problem

INDEX = "packages.json"
"""File that lists the packages in a folder made by ``python -m training corpus``."""
_SUBMODULE = "submodule (to train on it, name it with --repo)"
_RESTRICTIVE = re.compile(r"GPL|MPL|EPL|CDDL|SSPL|BUSL|CC-BY|proprietary|commercial|other", re.IGNORECASE)


@frozen
class Source:
    """A repository or package."""

    name: str
    root: Path
    files: tuple[str, ...] = field(repr=False)
    licence: str | None
    """Licence by its metadata or licence file; ``own`` for the user's own code; None if none was found."""
    version: str = ""
    folders: Mapping[str, str] = field(factory=dict, repr=False)
    """Licences of folders with a licence file, by the folder's path."""
    submodules: tuple[str, ...] = ()
    """Repositories inside of this one, none of whose files are among ``files``."""


def open_sources(
    repositories: tuple[Path, ...] = (), installed: tuple[str, ...] = (), *, own: bool = False
) -> tuple[Source, ...]:
    """Open all sources and give them different names.

    Args:
        repositories: git work trees, plain folders, or folders that ``corpus`` made.
        installed: names of distributions installed beside this Python.
        own: True if the repositories are the user's own, so that no licence is needed.

    Raises:
        DataError: a folder or a distribution does not exist.
    """
    found = [source for path in repositories for source in _sources_in(path, own)]
    found += [_installed(name) for name in installed]
    counts = Counter(source.name for source in found)
    taken: Counter[str] = Counter()
    named = []
    for source in found:
        taken[source.name] += 1
        is_unique = counts[source.name] == 1
        name = source.name if is_unique else f"{source.name}-{taken[source.name]}"
        named.append(evolve(source, name=name))
    return tuple(named)


def candidates(source: Source) -> tuple[list[CandidateFile], Counter[str]]:
    """Return the files to read, and the number of files not to read, by reason."""
    kept, dropped = [], Counter[str]()
    if source.submodules:
        dropped[_SUBMODULE] = len(source.submodules)
    folders = {**source.folders, "": source.licence or ""}
    for path in source.files:
        licence = "own" if source.licence == "own" else governing_licence(path, folders) or ""
        reason = name_problem(path) or _licence_problem(licence) or _link_problem(source.root, path)
        if reason:
            dropped[reason] += 1
        else:
            kept.append(CandidateFile(source.name, source.root, path, licence))
    return kept, dropped


def _licence_problem(licence: str) -> str:
    if not licence:
        return "no licence found"
    return "" if licence == "own" or is_permissive(licence) else "licence"


def _link_problem(root: Path, path: str) -> str:
    return "link out of the repository" if leads_out(root, path) else ""


def _sources_in(path: Path, own: bool) -> Iterator[Source]:
    if not path.exists():
        raise DataError(f"There is no repository at {path}.", "Check the path given with --repo.")
    if (path / INDEX).is_file():
        yield from _fetched(path)
        return
    root = path.resolve()
    source = _source(root.name, root if root.is_dir() else root.parent, tuple(list_files(root)), own=own)
    yield evolve(source, submodules=tuple(list_submodules(root)))


def _source(name: str, root: Path, files: tuple[str, ...], *, own: bool = False, version: str = "") -> Source:
    folders = {} if own else folder_licences(root, files)
    licence = "own" if own else _source_licence(root, folders)
    return Source(name, root, files, licence, version, folders)


def _source_licence(root: Path, folders: Mapping[str, str]) -> str | None:
    """Return the declared licence if it is clear, else the licence file's, or None."""
    declared = declared_licence(root)
    if declared and (is_permissive(declared) or _RESTRICTIVE.search(declared)):
        return declared
    metadata = (folders[folder] for folder in sorted(folders) if folder.endswith(".dist-info"))
    return folders.get("") or next(metadata, declared)


def _fetched(folder: Path) -> Iterator[Source]:
    """Yield the packages in a folder made by ``corpus``."""
    try:
        packages = json.loads((folder / INDEX).read_text(encoding="utf-8"))["packages"]
        for package in packages:
            root = folder / package["folder"]
            # All files, whatever a repository around the folder ignores.
            files = tuple(sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()))
            source = _source(f"{package['registry']}:{package['name']}", root, files)
            licence = package.get("licence") or source.licence
            yield Source(source.name, root, files, licence, package["version"], source.folders)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder / INDEX} can't be read: {error}.", "Make the folder anew: python -m training corpus."
        ) from error


def _installed(name: str) -> Source:
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        package = distribution(name)
    except PackageNotFoundError as error:
        raise DataError(
            f"No distribution named {name} is installed.", "Check the name: python -m pip list."
        ) from error
    root = Path(str(package.locate_file("")))
    files = tuple(sorted(str(file) for file in package.files or () if not str(file).startswith("..")))
    folders = folder_licences(root, files)
    info = next((file.split("/")[0] for file in files if ".dist-info/" in file), "")
    declared = declared_licence(root / info) if info else None
    licence = declared or folders.get(info)
    return Source(f"pypi:{name}", root, files, licence, package.version, folders)
