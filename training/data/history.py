"""Cut holes where recent commits inserted lines, into the files as they were at that commit.

Such holes show how this code is really written. The middle is a hunk of added lines, the text around it is
the commit's version of the file. Newer hunks are drawn more often, because they are closer to the next ones.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import field, frozen

from training.data.spans import Hole

_HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@")
_COMMIT = re.compile(r"commit ([0-9a-f]{40,64}) (\d+)$")
_MAX_HUNKS = 20_000
_PATCHES = (
    *("--no-merges", "--no-renames", "--no-color", "--no-ext-diff", "--no-textconv"),
    *("--relative", "--unified=0", "--format=commit %H %ct", "-p"),
)


@frozen
class Insertion:
    """Lines that a commit added to a file: ``first`` to ``first + count - 1``, counted from 1."""

    commit: str
    time: int
    """Time of the commit, in seconds since 1970."""
    path: str
    first: int
    count: int


@frozen
class PastHole:
    """A hole cut at an insertion, and its weight when holes are drawn."""

    path: str
    hole: Hole = field(repr=False)
    weight: float


def insertions(root: Path, commits: int, paths: frozenset[str]) -> Iterator[Insertion]:
    """Yield the insertions of the last commits into the given files, the newest first.

    Files that the commit created are left out.

    Args:
        root: a git work tree, or a folder in one.
        commits: number of commits to look at; merges don't count.
        paths: the files, relative to ``root``.
    """
    log = _git(root, ["log", f"-n{commits}", *_PATCHES, "--", "."])
    commit, time, path, is_new, found = "", 0, "", False, 0
    for line in log.split("\n"):
        if header := _COMMIT.match(line):
            commit, time = header.group(1), int(header.group(2))
        elif line.startswith("--- "):
            is_new = line == "--- /dev/null"
        elif line.startswith("+++ "):
            path = line[6:] if line.startswith("+++ b/") else ""
        elif (hunk := _HUNK.match(line)) and path in paths and not is_new:
            count = int(hunk.group(2) or 1)
            if count and found < _MAX_HUNKS:
                found += 1
                yield Insertion(commit, time, path, int(hunk.group(1)), count)


def past_holes(
    root: Path, found: Sequence[Insertion], max_chars: int, half_life_days: float
) -> Iterator[PastHole]:
    """Cut a hole at each insertion of at most ``max_chars`` characters.

    An insertion that is ``half_life_days`` older than the newest weighs half as much.
    """
    newest = max((insertion.time for insertion in found), default=0)
    versions = _versions(root, [(insertion.commit, insertion.path) for insertion in found])
    for insertion, text in zip(found, versions, strict=True):
        hole = _hole(text, insertion, max_chars) if text else None
        if hole is not None:
            age_days = (newest - insertion.time) / 86_400
            yield PastHole(insertion.path, hole, 0.5 ** (age_days / half_life_days))


def first_commits(root: Path) -> dict[str, float]:
    """Return the time of each file's first commit, in seconds since 1970."""
    log = _git(
        root, ["log", "--relative", "--diff-filter=A", "--format=commit %H %ct", "--name-only", "--", "."]
    )
    times: dict[str, float] = {}
    time = 0
    for line in log.split("\n"):
        if header := _COMMIT.match(line):
            time = int(header.group(2))
        elif line:
            times[line] = time
    return times


def _hole(text: str, insertion: Insertion, max_chars: int) -> Hole | None:
    """Cut out the inserted lines without their last line break, as if the cursor stood on an empty line."""
    lines = text.split("\n")
    before = "".join(line + "\n" for line in lines[: insertion.first - 1])
    middle = "\n".join(lines[insertion.first - 1 : insertion.first - 1 + insertion.count])
    if (
        not middle.strip()
        or len(middle) > max_chars
        or not before + text[len(before) + len(middle) :].strip()
    ):
        return None
    return Hole(before, middle, text[len(before) + len(middle) :], "history")


def _versions(root: Path, files: Sequence[tuple[str, str]]) -> list[str]:
    """Return the texts of files, given as (commit, path); an empty one if git has none or it is no text."""
    if not files:
        return []
    names = [f"{commit}:./{path}" for commit, path in files]
    unique = list(dict.fromkeys(name for name in names if "\n" not in name))
    data = _git_bytes(root, ["cat-file", "--batch"], "\n".join(unique).encode() + b"\n")
    texts: dict[str, str] = {}
    offset = 0
    for name in unique:
        newline = data.find(b"\n", offset)
        header = data[offset:newline].split(b" ")
        offset = newline + 1
        if newline < 0 or header[-1] in (b"missing", b"ambiguous") or not header[-1].isdigit():
            continue
        size = int(header[-1])
        texts[name] = _text(data[offset : offset + size])
        offset += size + 1
    return [texts.get(name, "") for name in names]


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        return ""


def _git(root: Path, arguments: list[str]) -> str:
    return _git_bytes(root, ["-c", "core.quotePath=false", *arguments]).decode("utf-8", "replace")


def _git_bytes(root: Path, arguments: list[str], stdin: bytes = b"") -> bytes:
    """Return the output of a git command; empty if git is missing or there is no repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], input=stdin, capture_output=True, check=False
        )
    except OSError:
        return b""
    return done.stdout if done.returncode == 0 else b""
