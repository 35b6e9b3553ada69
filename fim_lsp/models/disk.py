"""The store's disk: its free room, and its errors as a problem and a remedy."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fim_lsp.files import lack_of_room
from fim_lsp.models import ModelError

_FREE_SOME_ROOM = "Free some room, or point FIM_LSP_MODELS at another disk."


def check_room(folder: Path, needed: int) -> None:
    """Refuse to begin what the disk can't hold.

    Raises:
        ModelError: less than ``needed`` bytes are free.
    """
    problem = lack_of_room(folder, needed)
    if problem is not None:
        raise ModelError(problem, _FREE_SOME_ROOM)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn errors of the file system that concern ``path`` into a :class:`ModelError`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ModelError(
                f"The disk is full: {path} could not be written.",
                _FREE_SOME_ROOM,
            ) from error
        raise ModelError(
            f"{path} could not be written: {error.strerror or error}.",
            "Check the folder's permissions, or point FIM_LSP_MODELS elsewhere.",
        ) from error
