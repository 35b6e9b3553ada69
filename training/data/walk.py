"""List the files of a source: those that git tracks, else those that no ignore file excludes.

Only names are looked at; :mod:`training.data.screening` reads the files.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from fim_lsp.code.languages import is_code
from fim_lsp.completion.enabled import matches_any
from fim_lsp.secret_files import FILES_WITH_SECRETS
from fim_lsp.workspace.file_names import (
    ENVIRONMENTS,
    GENERATED,
    LOCK_FILES,
    REPOSITORIES,
    VENDORED,
    file_name_problem,
)

IGNORE_FILES = (".gitignore", ".fimignore")


def list_files(root: Path) -> list[str]:
    """Return the sorted paths of a source's files, relative to ``root``, with ``/``.

    If ``root`` is a file, it is the only one.
    """
    if root.is_file():
        return [root.name]
    tracked = _git_files(root)
    return sorted(tracked if tracked is not None else _walk(root))


def list_submodules(root: Path) -> list[str]:
    """Return the paths of git's submodules, and of repositories inside of this one, relative to ``root``."""
    if root.is_file() or not is_git_repository(root):
        return []
    # "160000 <hash> 0<tab>path" is a submodule; a repository that is not tracked ends with a slash.
    tracked = _git(root, "ls-files", "-z", "--stage").split("\0")
    others = _git(root, "ls-files", "-z", "--others", "--exclude-standard").split("\0")
    submodules = [entry.partition("\t")[2] for entry in tracked if entry.startswith("160000 ")]
    return sorted((*submodules, *(name.rstrip("/") for name in others if name.endswith("/"))))


def leads_out(root: Path, path: str) -> bool:
    """Check if a file lies outside of ``root``, because it or a folder above it is a link."""
    try:
        return not (root / path).resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # a circle of links
        return True


def name_problem(path: str) -> str | None:
    """Return the reason to leave a file out because of its name, or None."""
    parts = PurePosixPath(path).parts
    if parts[-1] in LOCK_FILES:
        return "lock file"
    if not is_code(path):
        return "not code"
    if matches_any(PurePosixPath(path), FILES_WITH_SECRETS):
        return "may hold secrets"
    if any(part in VENDORED for part in parts[:-1]):
        return "vendored"
    if problem := file_name_problem(parts[-1]):
        return problem
    return "generated" if any(part in GENERATED for part in parts[:-1]) else None


def is_git_repository(root: Path) -> bool:
    """Check if ``root`` lies in a git work tree."""
    return (root / ".git").exists() or _git(root, "rev-parse", "--is-inside-work-tree") == "true\n"


def _git_files(root: Path) -> list[str] | None:
    """Return the files that git tracks or would track below ``root``; None without git or a repository."""
    if not is_git_repository(root):
        return None
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if not listed:
        return None
    spec = _ignored(root, root)
    names = (name for name in dict.fromkeys(listed.split("\0")) if name)
    return [name for name in names if not spec(name) and (root / name).is_file()]


def _git(root: Path, *arguments: str) -> str:
    """Return the output of a git command; empty if git is missing or the command fails."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, check=False, stdin=subprocess.DEVNULL
        )
    except OSError:
        return ""
    return done.stdout.decode("utf-8", "surrogateescape") if done.returncode == 0 else ""


def _walk(root: Path) -> Iterator[str]:
    """Yield every file that no ignore file excludes; links are not followed, as they may leave the root."""
    pending: list[tuple[Path, tuple[Callable[[str], bool], ...]]] = [(root, ())]
    while pending:
        folder, specs = pending.pop()
        specs = (*specs, _ignored(root, folder))
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            path = Path(entry.path).relative_to(root).as_posix()
            is_folder = entry.is_dir(follow_symlinks=False)
            if any(ignores(path + "/" * is_folder) for ignores in specs):
                continue
            if is_folder and entry.name not in REPOSITORIES | ENVIRONMENTS:
                pending.append((Path(entry.path), specs))
            elif entry.is_file(follow_symlinks=False):
                yield path


def _ignored(root: Path, folder: Path) -> Callable[[str], bool]:
    """Return a check if the ignore files of one folder exclude a path relative to ``root``."""
    lines: list[str] = []
    for name in IGNORE_FILES:
        with suppress(OSError):
            lines += (folder / name).read_text(encoding="utf-8", errors="replace").splitlines()
    if not lines:
        return lambda path: False
    from pathspec import GitIgnoreSpec

    spec = GitIgnoreSpec.from_lines(lines)
    start = "" if folder == root else folder.relative_to(root).as_posix() + "/"
    return lambda path: path.startswith(start) and bool(spec.match_file(path.removeprefix(start)))
