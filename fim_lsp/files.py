"""Digests, writes that appear whole or not at all, the disk's free room, and one spelling of a path."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath

_CHUNK = 1 << 20
_DRIVE = re.compile(r"[/\\][A-Za-z]:")
"""The beginning of a drive in the path part of a URI."""


def sha256_of(path: Path, on_read: Callable[[int, int], None] | None = None) -> str:
    """Return the sha256 of a file, in hex.

    Args:
        path: the file.
        on_read: called with the bytes read so far and the file's size, some times a second.

    Raises:
        OSError: it can't be read.
    """
    digest, done, total = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            if on_read is not None:
                on_read(done, total)
    return digest.hexdigest()


@contextmanager
def atomic_write(path: Path, *, mode: int | None = None, shared: bool = False) -> Iterator[Path]:
    """Replace a file by what the block writes to the path that it gets; readers never see half of it.

    That path is ``<name>.partial`` beside the file. If the block fails, it is deleted and the file stays as
    it was.

    Args:
        path: the file. Its folder must exist.
        mode: permissions of the file, such as 0o600. None keeps those of the file that is replaced; a new one
            gets the usual ones.
        shared: True if several processes may write the file at once. Each then writes to a path of its own.

    Raises:
        OSError: no room or no permission.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial" if shared else f"{path.name}.partial")
    if mode is None:
        with suppress(FileNotFoundError):
            mode = stat.S_IMODE(path.stat().st_mode)
    try:
        partial.unlink(missing_ok=True)
        if mode is not None:
            # Before anything is written, so that the content is private from the beginning.
            os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
            partial.chmod(mode)
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text_atomically(path: Path, text: str, *, mode: int | None = None, shared: bool = False) -> None:
    """Write UTF-8 text with :func:`atomic_write`."""
    with atomic_write(path, mode=mode, shared=shared) as partial:
        partial.write_text(text, encoding="utf-8")


def lack_of_room(folder: Path, needed: int, purpose: str = "") -> str | None:
    """Return what to tell the user if a disk has less room than is needed, else None.

    Args:
        folder: a folder on the disk.
        needed: bytes.
        purpose: what they are needed for.
    """
    free = shutil.disk_usage(folder).free
    if free >= needed:
        return None
    what = f" for {purpose}" if purpose else ""
    return f"The disk of {folder} has {_mb(free)} MB free, and {_mb(needed)} MB are needed{what}."


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f}"


def real_path(path: PurePath) -> str:
    """Return the one spelling of a file's path: links resolved, with slashes, in one case where none counts.

    Two paths of one file give the same. It asks the file system, and takes what it can't resolve as written.

    Args:
        path: as the system writes it, or the path part of a ``file`` URI (``/c:/a.py`` on Windows).
    """
    text = str(path)
    if os.name == "nt" and _DRIVE.match(text):
        text = text[1:]
    with suppress(OSError, ValueError):
        text = os.path.realpath(text)
    return PurePath(os.path.normcase(text)).as_posix()


def last_used_first(root: Path, pattern: str) -> list[tuple[Path, os.stat_result]]:
    """Return the files below a folder that match a glob pattern, the last used first.

    Files that disappear meanwhile are left out.
    """
    found = []
    for path in root.glob(pattern):
        with suppress(OSError):
            found.append((path, path.stat()))
    return sorted(found, key=lambda file: file[1].st_mtime_ns, reverse=True)
