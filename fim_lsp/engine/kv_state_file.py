"""One evaluated state as a file: tokens and adapters that it is for, then llama.cpp's own bytes.

Layout: magic, BLAKE2b digest of the header, its length (uint32, little endian), the header (JSON), the
payload, whose digest the header names. llama.cpp checks sizes and types in a state but no more: of 1,200 with
one to three bytes changed it took a third without a word, and would have computed with them (seen in
llama-cpp-python 0.3.36; none ended the process). So nothing reaches it that is not byte for byte what was
written.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from pathlib import Path
from typing import BinaryIO

from attrs import field, frozen

from fim_lsp.files import atomic_write
from fim_lsp.types import AppliedAdapter

_MAGIC = b"FIMPARK\x01"
_PREAMBLE = struct.Struct("<8s32sI")
_LONGEST_HEADER = 1 << 24
Payload = bytes | bytearray | memoryview


class DamagedError(ValueError):
    """The file is not what was written, or was written for something else."""


@frozen
class KvState:
    """What a file holds, but for the payload."""

    identity: str
    """Of model, library and cache: see the engine that writes it."""
    tokens: tuple[int, ...] = field(repr=False)
    adapters: tuple[AppliedAdapter, ...] = ()

    @property
    def name(self) -> str:
        """The file's name, the same for the same state."""
        return hashlib.blake2b(json.dumps(self._described()).encode(), digest_size=16).hexdigest() + ".kv"

    def _described(self) -> dict[str, object]:
        adapters = [[str(one.path), one.scale, one.version] for one in self.adapters]
        return {"identity": self.identity, "tokens": self.tokens, "adapters": adapters}

    def header(self, payload: Payload) -> bytes:
        """Everything before the payload."""
        about = {"bytes": len(payload), "digest": _digest(payload).hex()}
        header = json.dumps({**self._described(), "payload": about}).encode()
        return _PREAMBLE.pack(_MAGIC, _digest(header), len(header)) + header


def write_state(path: Path, state: KvState, payload: Payload) -> None:
    """Write a file that nobody else may read; it appears under its name only when it is whole.

    Raises:
        OSError: no room, no permission; nothing is left then.
    """
    with atomic_write(path, mode=0o600, shared=True) as partial, partial.open("wb") as file:
        file.write(state.header(payload))
        file.write(payload)


def read_state(path: Path) -> KvState:
    """What a file says that it holds; the payload's length is checked, its content is not.

    Raises:
        DamagedError: it is no such file, or not whole.
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        return _read(file)[0]


def read_payload(path: Path) -> bytes:
    """The payload, checked to the last bit.

    Raises:
        DamagedError, OSError: as :func:`read_state`.
    """
    with path.open("rb") as file:
        _, digest = _read(file)
        payload = file.read()
    if _digest(payload).hex() != digest:
        raise DamagedError(f"{path} is damaged.")
    return payload


def _read(file: BinaryIO) -> tuple[KvState, str]:
    """State and the payload's digest; the file then stands at the payload."""
    try:
        magic, digest, length = _PREAMBLE.unpack(file.read(_PREAMBLE.size))
        header = file.read(length) if magic == _MAGIC and length <= _LONGEST_HEADER else b""
        if _digest(header) != digest:
            raise DamagedError("not a saved state, or a damaged one")
        said = json.loads(header)
        adapters = tuple(
            AppliedAdapter(Path(path), scale, version) for path, scale, version in said["adapters"]
        )
        state = KvState(said["identity"], tuple(said["tokens"]), adapters)
        size, payload_digest = said["payload"]["bytes"], said["payload"]["digest"]
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise DamagedError(str(error)) from error
    if os.fstat(file.fileno()).st_size != _PREAMBLE.size + length + size:
        raise DamagedError("not whole")
    return state, payload_digest


def _digest(data: Payload) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()
