"""One saved KV state as a file: the tokens and adapters that it belongs to, then llama.cpp's own bytes.

Layout: magic, BLAKE2b digest of the header, its length (uint32, little endian), the header (JSON), the
payload, whose digest is in the header. llama.cpp checks sizes and types in a state, but no more: of 1,200
states with one to three bytes changed it accepted a third without a warning, and would have computed with
them (seen in llama-cpp-python 0.3.36; none ended the process). So only bytes that are exactly as written
reach it.
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

_MAGIC = b"FIMKVST\x01"
_PREAMBLE = struct.Struct("<8s32sI")
_LONGEST_HEADER = 1 << 24
"""Bytes."""
Payload = bytes | bytearray | memoryview


class DamagedError(ValueError):
    """The file is not what was written, or belongs to something else."""


@frozen
class KvState:
    """The description of a saved state: everything in its file but the payload."""

    identity: str
    """Of model, library and cache: see the engine that writes it."""
    tokens: tuple[int, ...] = field(repr=False)
    adapters: tuple[AppliedAdapter, ...] = ()

    @property
    def name(self) -> str:
        """The file's name, which is the same for equal descriptions."""
        return hashlib.blake2b(json.dumps(self._fields()).encode(), digest_size=16).hexdigest() + ".kv"

    def _fields(self) -> dict[str, object]:
        adapters = [[str(adapter.path), adapter.scale, adapter.version] for adapter in self.adapters]
        return {"identity": self.identity, "tokens": self.tokens, "adapters": adapters}

    def header(self, payload: Payload) -> bytes:
        """Return everything before the payload."""
        about = {"bytes": len(payload), "digest": _digest(payload).hex()}
        header = json.dumps({**self._fields(), "payload": about}).encode()
        return _PREAMBLE.pack(_MAGIC, _digest(header), len(header)) + header


def write_state(path: Path, state: KvState, payload: Payload) -> None:
    """Write a file that only its owner may read. It appears under its name once it is complete.

    Raises:
        OSError: no room or no permission; no part of the file is left.
    """
    with atomic_write(path, mode=0o600, shared=True) as partial, partial.open("wb") as file:
        file.write(state.header(payload))
        file.write(payload)


def read_state(path: Path) -> KvState:
    """Read a file's description. The payload's length is checked, its content is not.

    Raises:
        DamagedError: it is no such file, or not complete.
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        return _read(file)[0]


def read_payload(path: Path) -> bytes:
    """Read the payload, and check every byte of it against its digest.

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
    """Return the description and the payload's digest, with the file positioned at the payload."""
    try:
        magic, digest, length = _PREAMBLE.unpack(file.read(_PREAMBLE.size))
        header = file.read(length) if magic == _MAGIC and length <= _LONGEST_HEADER else b""
        if _digest(header) != digest:
            raise DamagedError("not a saved state, or a damaged one")
        fields = json.loads(header)
        adapters = tuple(
            AppliedAdapter(Path(path), scale, version) for path, scale, version in fields["adapters"]
        )
        state = KvState(fields["identity"], tuple(fields["tokens"]), adapters)
        size, payload_digest = fields["payload"]["bytes"], fields["payload"]["digest"]
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise DamagedError(str(error)) from error
    if os.fstat(file.fileno()).st_size != _PREAMBLE.size + length + size:
        raise DamagedError("not complete")
    return state, payload_digest


def _digest(data: Payload) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()
