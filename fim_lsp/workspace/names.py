"""The names that the files of the workspace hold, as a value: 4 bytes for each, and no text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from fim_lsp.workspace.indexed_file import IndexedFile
from fim_lsp.workspace.words import NameHashes, hash_name

_NONE: NameHashes = np.empty(0, np.uint32)
_NOWHERE: npt.NDArray[np.int32] = np.empty(0, np.int32)


@frozen(eq=False)
class KnownNames:
    """The names in the files of the workspace, words of their comments among them.

    ``"total_price" in names`` tells whether a file holds a name. Of names that none holds, one in some ten
    thousand is taken for known, because hashes may be equal. A name that was just deleted stays for a while.
    """

    hashes: tuple[NameHashes, ...] = field(default=(), repr=False)
    """Each ascending."""

    def __contains__(self, name: str) -> bool:
        """Tell whether a file holds a name of at least three characters."""
        value = np.uint32(hash_name(name))
        return any(_find(hashes, value) for hashes in self.hashes)

    def __bool__(self) -> bool:
        """Tell whether any name is known; without an index none is."""
        return any(len(hashes) for hashes in self.hashes)


@frozen(eq=False)
class Definitions:
    """For each name, the files that seem to define it."""

    paths: tuple[str, ...] = field(default=(), repr=False)
    hashes: NameHashes = field(default=_NONE, repr=False)
    """Ascending."""
    files: npt.NDArray[np.int32] = field(default=_NOWHERE, repr=False)
    """Index into ``paths`` of the file that defines the name at the same place of ``hashes``."""

    @classmethod
    def of(cls, files: Sequence[IndexedFile]) -> Definitions:
        """Join the definitions of files."""
        if not files:
            return cls()
        hashes = np.concatenate([file.defined for file in files])
        owners = np.repeat(np.arange(len(files), dtype=np.int32), [len(file.defined) for file in files])
        order = np.argsort(hashes, kind="stable")
        return cls(tuple(file.path for file in files), hashes[order], owners[order])

    def find(self, name: str) -> list[str]:
        """Return the paths of the files that seem to define a name."""
        value = np.uint32(hash_name(name))
        start, end = (int(self.hashes.searchsorted(value, side=side)) for side in ("left", "right"))
        return [self.paths[index] for index in self.files[start:end]]


def join_names(files: Sequence[IndexedFile]) -> NameHashes:
    """Return the hashes of all names in files, ascending, each once."""
    return np.unique(np.concatenate([file.names for file in files])) if files else _NONE


def _find(hashes: NameHashes, value: np.uint32) -> bool:
    index = int(hashes.searchsorted(value))
    return index < len(hashes) and bool(hashes[index] == value)
