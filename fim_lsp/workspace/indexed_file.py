"""One version of a file as the index keeps it, and files packed into bytes for the disk and for a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen

from fim_lsp.engine.memory import TokenizedFile
from fim_lsp.workspace.file_text import FileStamp, spelled
from fim_lsp.workspace.words import NameHashes

Tokens = npt.NDArray[Any]
"""Token ids, shape (tokens,), of 16 or 32 bits."""
_NO_TOKENS: Tokens = np.empty(0, np.uint16)
_NO_NAMES: NameHashes = np.empty(0, np.uint32)
_NARROW = 0xFFFF


@frozen(eq=False)
class IndexedFile:
    """One version of a file. A file that must not be kept has a problem, and nothing of its content."""

    path: str
    """As the system writes it."""
    language: str = ""
    stamp: FileStamp = field(factory=FileStamp)
    tokens: Tokens = field(default=_NO_TOKENS, repr=False)
    names: NameHashes = field(default=_NO_NAMES, repr=False)
    """Hashes of the names in it, ascending."""
    defined: NameHashes = field(default=_NO_NAMES, repr=False)
    """Hashes of the names that it seems to define, ascending."""
    problem: str = ""

    @property
    def room(self) -> int:
        """Tokens that the file takes of the budget; the boundary behind it is one."""
        return len(self.tokens) + 1

    def tokenized(self) -> TokenizedFile:
        """Return the file for a corpus."""
        return TokenizedFile(spelled(self.path), self.tokens)

    def unsettled(self) -> IndexedFile:
        """Return the file with a stamp that no file has, so that it is read again."""
        return evolve(self, stamp=FileStamp())


Rows = list[list[Any]]
"""Files without their arrays, as JSON."""


def pack(files: Sequence[IndexedFile]) -> tuple[Rows, bytes]:
    """Return rows for JSON, and the arrays of all files one behind the other."""
    rows: Rows = []
    parts: list[bytes] = []
    for file in files:
        tokens = _narrow(file.tokens)
        lengths = [len(tokens), tokens.itemsize, len(file.names), len(file.defined)]
        stamp = [file.stamp.modified_ns, file.stamp.size]
        rows.append([file.path, file.language, file.problem, *stamp, *lengths])
        parts += (tokens.tobytes(), file.names.tobytes(), file.defined.tobytes())
    return rows, b"".join(parts)


def unpack(rows: Iterable[Sequence[Any]], payload: bytes) -> list[IndexedFile]:
    """Return the files that :func:`pack` packed. Their arrays are views of the payload.

    Raises:
        ValueError, TypeError: rows or payload are not what it returned.
    """
    files: list[IndexedFile] = []
    start = 0

    def take(kind: type[np.unsignedinteger[Any]], count: int) -> npt.NDArray[Any]:
        nonlocal start
        size = count * np.dtype(kind).itemsize
        if count < 0 or start + size > len(payload):
            raise ValueError("the payload is too short")
        # Unaligned views are what numpy copies where it must.
        array = np.frombuffer(payload, kind, count, start)
        start += size
        return array

    for path, language, problem, modified_ns, size, tokens, width, names, defined in rows:
        files.append(
            IndexedFile(
                path,
                language,
                FileStamp(modified_ns, size),
                take(np.uint16 if width == 2 else np.uint32, tokens),
                take(np.uint32, names),
                take(np.uint32, defined),
                problem,
            )
        )
    if start != len(payload):
        raise ValueError("the payload is too long")
    return files


def _narrow(tokens: Tokens) -> Tokens:
    """Return tokens in the smallest type that holds them."""
    highest = int(tokens.max()) if len(tokens) else 0
    return tokens.astype(np.uint16 if highest < _NARROW else np.uint32, copy=False)
