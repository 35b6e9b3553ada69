"""The names that the files of the workspace hold, as a value: 4 bytes for each, and no text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

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
class NameTable:
    """Hashes of names by file, in two arrays."""

    hashes: NameHashes = field(default=_NONE, repr=False)
    """Those of each file, one file behind the other."""
    counts: npt.NDArray[np.int32] = field(default=_NOWHERE, repr=False)
    """Number of each file's hashes, shape (files,)."""

    @classmethod
    def of(cls, files: Sequence[NameHashes]) -> NameTable:
        """Take the hashes of each file."""
        return cls(
            np.concatenate(files) if files else _NONE, np.array([len(each) for each in files], np.int32)
        )

    @classmethod
    def join(cls, tables: Sequence[tuple[NameTable, npt.NDArray[np.bool_]]]) -> NameTable:
        """Join some of the files of several tables.

        Args:
            tables: Each with marks of the files that are kept, shape (files,).
        """
        hashes = [table.hashes[np.repeat(kept, table.counts)] for table, kept in tables]
        return cls(np.concatenate(hashes), np.concatenate([table.counts[kept] for table, kept in tables]))

    @property
    def memory_bytes(self) -> int:
        """Memory that the arrays take."""
        return self.hashes.nbytes + self.counts.nbytes

    def distinct(self) -> NameHashes:
        """Return all hashes, ascending, each once."""
        return np.unique(self.hashes)


@frozen(eq=False)
class Definitions:
    """For each name, the files that seem to define it."""

    paths: tuple[str, ...] = field(default=(), repr=False)
    hashes: NameHashes = field(default=_NONE, repr=False)
    """Ascending."""
    files: npt.NDArray[np.int32] = field(default=_NOWHERE, repr=False)
    """Index into ``paths`` of the file that defines the name at the same place of ``hashes``."""

    @classmethod
    def of(cls, paths: tuple[str, ...], defined: NameTable) -> Definitions:
        """Sort the names that each file defines.

        Args:
            paths: Of the files.
            defined: The names of each.
        """
        owners = np.repeat(np.arange(len(paths), dtype=np.int32), defined.counts)
        order = np.argsort(defined.hashes, kind="stable")
        return cls(paths, defined.hashes[order], owners[order])

    def find(self, name: str) -> list[str]:
        """Return the paths of the files that seem to define a name."""
        value = np.uint32(hash_name(name))
        start, end = (int(self.hashes.searchsorted(value, side=side)) for side in ("left", "right"))
        return [self.paths[index] for index in self.files[start:end]]


def _find(hashes: NameHashes, value: np.uint32) -> bool:
    index = int(hashes.searchsorted(value))
    return index < len(hashes) and bool(hashes[index] == value)
