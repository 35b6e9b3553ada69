"""The files that people ignore: ``.gitignore`` of each folder, ``.git/info/exclude``, and ``.fimignore``.

The rules are git's: the last pattern that fits decides, those of deeper folders come last, and nothing below
an ignored folder is looked at. ``.fimignore`` has the same syntax and can only ignore more.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from attrs import evolve, frozen
from pathspec import GitIgnoreSpec

GIT_IGNORE, FIM_IGNORE = ".gitignore", ".fimignore"
IGNORE_FILES = frozenset((GIT_IGNORE, FIM_IGNORE))
_MOST_BYTES = 1_000_000


@frozen(eq=False)
class _Patterns:
    """The patterns of one ignore file."""

    folder: str
    """The folder that the patterns are relative to."""
    spec: GitIgnoreSpec

    def check(self, path: str, *, is_folder: bool) -> bool | None:
        """Tell whether a path below the folder is ignored; None where no pattern fits."""
        relative = path[len(self.folder) :].lstrip(os.sep)
        return self.spec.check_file(relative.replace(os.sep, "/") + "/" * is_folder).include


@frozen(eq=False)
class IgnoreRules:
    """The rules that hold in one folder."""

    git: tuple[_Patterns, ...] = ()
    """The outermost first."""
    fim: tuple[_Patterns, ...] = ()

    @classmethod
    def above(cls, folder: str) -> IgnoreRules:
        """Read the rules of the repository above a folder, but not the folder's own files."""
        above = _repository_above(folder)
        if above is None:
            return cls()
        excludes = _read(above, _git_folder(Path(above)) / "info" / "exclude")
        rules = cls(git=excludes)
        names = Path(folder).relative_to(above).parts
        for depth in range(len(names)):
            rules = rules.entering(os.path.join(above, *names[:depth]))
        return rules

    def entering(self, folder: str) -> IgnoreRules:
        """Return the rules for what is in a folder: these and those of its own ignore files."""
        git, fim = _read(folder, Path(folder, GIT_IGNORE)), _read(folder, Path(folder, FIM_IGNORE))
        return evolve(self, git=self.git + git, fim=self.fim + fim) if git or fim else self

    def ignores(self, path: str, *, is_folder: bool) -> bool:
        """Tell whether a file or folder is ignored, given that the folder above it is not."""
        for chain in (self.git, self.fim):
            for patterns in reversed(chain):
                ignored = patterns.check(path, is_folder=is_folder)
                if ignored is not None:
                    if ignored:
                        return True
                    break
        return False


def _repository_above(folder: str) -> str | None:
    """Return the git work tree that holds a folder; None outside of any."""
    for each in (Path(folder), *Path(folder).parents):
        if (each / ".git").exists():
            return str(each)
    return None


def _git_folder(root: Path) -> Path:
    """Return the folder with a repository's own files; of a work tree or submodule it is elsewhere."""
    dot_git = root / ".git"
    with suppress(OSError, ValueError):
        if dot_git.is_file():
            named = Path(root, dot_git.read_text(encoding="utf-8")[:4096].removeprefix("gitdir:").strip())
            common = named / "commondir"
            shared = common.read_text(encoding="utf-8")[:4096].strip() if common.is_file() else "."
            return named / shared
    return dot_git


def _read(folder: str, file: Path) -> tuple[_Patterns, ...]:
    """Read an ignore file; nothing if there is none."""
    try:
        with file.open("rb") as opened:
            lines = opened.read(_MOST_BYTES).decode("utf-8-sig", "replace").splitlines()
    except OSError:
        return ()
    spec = _parse(lines)
    return (_Patterns(folder, spec),) if spec.patterns else ()


def _parse(lines: list[str]) -> GitIgnoreSpec:
    """Parse patterns; git passes over one that it can't read, and so is done here."""
    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError:
        return GitIgnoreSpec.from_lines(line for line in lines if _is_valid(line))


def _is_valid(line: str) -> bool:
    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True
