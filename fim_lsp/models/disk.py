"""What both sources do to the store's disk: digests, room, and errors said in the user's words."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fim_lsp.models import ModelError
from fim_lsp.models.progress import OnProgress, Progress

_CHUNK = 1 << 20


def sha256_of(path: Path, on_progress: OnProgress) -> str:
    """The sha256 of a file, in hex."""
    digest, done, total = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            on_progress(Progress("check", done, total))
    return digest.hexdigest()


def check_room(folder: Path, needed: int) -> None:
    """Refuse to begin what the disk can't hold.

    Raises:
        ModelError: less than ``needed`` bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ModelError(
            f"The disk of {folder} has {_mb(free)} MB free, and {_mb(needed)} MB are needed.",
            "Free some room, or point FIM_LSP_MODELS at another disk.",
        )


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the file system says about ``path`` into a :class:`ModelError`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ModelError(
                f"The disk is full: {path} could not be written.",
                "Free some room, or point FIM_LSP_MODELS at another disk.",
            ) from error
        raise ModelError(
            f"{path} could not be written: {error.strerror or error}.",
            "Check the folder's permissions, or point FIM_LSP_MODELS elsewhere.",
        ) from error


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f}"
