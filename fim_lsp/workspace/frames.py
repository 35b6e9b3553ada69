"""The messages between the server and the process that indexes: a header in JSON, and arrays.

Each frame is the length of its header and of its payload (uint32, little endian), the header, the payload.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from attrs import asdict, field, frozen

from fim_lsp.workspace.indexed_file import IndexedFile, pack, unpack

LENGTHS = struct.Struct("<II")


@frozen
class IndexCounts:
    """The state of an index, in numbers."""

    files: int = 0
    """Files in it."""
    tokens: int = 0
    listed: int = 0
    """Files that may be read by their names."""
    left_out: Mapping[str, int] = field(factory=dict)
    """Files that are left out by their content, by reason."""
    seconds: float = 0.0
    """Time from the start, or the last change, until all of it was done."""
    saved: int = 0
    """Files whose tokens came from the disk."""
    done: bool = False
    """True if there is nothing left to do."""


@frozen(eq=False)
class Report:
    """A message of the process that indexes."""

    files: Sequence[IndexedFile] = field(default=(), repr=False)
    """Those that are new or changed."""
    gone: Sequence[str] = ()
    remarks: Sequence[str] = ()
    counts: IndexCounts = IndexCounts()
    answer: Mapping[str, Any] | None = field(default=None, repr=False)
    """To a question of the server, with its number."""
    withdrawn: bool = False
    """True if some of those that are gone were deleted, are ignored or hold a secret by now."""
    urgent: bool = False
    """True if the files are those in the folder of an open one."""

    def encode(self) -> bytes:
        """Return the report as a frame."""
        rows, payload = pack(self.files)
        header = {
            "files": rows,
            "gone": list(self.gone),
            "remarks": list(self.remarks),
            "counts": asdict(self.counts),
            "answer": self.answer,
            "withdrawn": self.withdrawn,
            "urgent": self.urgent,
        }
        return encode_frame(header, payload)

    @classmethod
    def decode(cls, header: bytes, payload: bytes) -> Report:
        """Return the report that a frame holds.

        Raises:
            ValueError, TypeError, KeyError: it is none.
        """
        fields = json.loads(header)
        return cls(
            unpack(fields["files"], payload),
            fields["gone"],
            fields["remarks"],
            IndexCounts(**fields["counts"]),
            fields["answer"],
            fields["withdrawn"],
            fields["urgent"],
        )


def encode_frame(header: Mapping[str, Any], payload: bytes = b"") -> bytes:
    """Return a frame."""
    text = json.dumps(header).encode()
    return LENGTHS.pack(len(text), len(payload)) + text + payload


def read_frame(stream: BinaryIO) -> Mapping[str, Any] | None:
    """Return the header of the next frame without a payload; None at the end."""
    lengths = stream.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        return None
    size, _ = LENGTHS.unpack(lengths)
    header: Mapping[str, Any] = json.loads(stream.read(size))
    return header
