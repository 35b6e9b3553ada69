"""The index of one workspace folder as a file, so that a second start reads no file that is still the same.

Layout: magic, BLAKE2b digest of all that follows, the header's length (uint32, little endian), the header
(JSON), the arrays. The file holds code, as tokens, so the rules are those of saved KV states: only its owner
may read it, and it is deleted if a byte of it is not as written.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from fim_lsp.files import atomic_write, last_used_first
from fim_lsp.workspace.file_text import FileStamp
from fim_lsp.workspace.indexed_file import IndexedFile, pack, unpack

logger = logging.getLogger(__name__)

_MAGIC = b"FIMINDX\x01"
_PREAMBLE = struct.Struct("<8s32sI")
_RULES = 1
"""Changes when the rules do by which files are left out for their content, or the way that they are read."""
_ABANDONED_S = 3600.0
"""Age at which a partial file counts as left by a process that died."""
_SETTLED_NS = 2_000_000_000
"""A file may be written twice within the precision of its time; then the second write can't be seen later."""


class DamagedIndexError(ValueError):
    """The file is not what was written, or belongs to something else."""


def index_files(root: Path) -> list[tuple[Path, os.stat_result]]:
    """Return all saved indexes, the last used first."""
    return last_used_first(root, "*.index")


def clear_index_files(root: Path) -> None:
    """Delete every saved index.

    Raises:
        OSError: one of them can't be deleted.
    """
    for path in (*root.glob("*.index"), *root.glob("*.partial")):
        path.unlink(missing_ok=True)


@frozen
class IndexFiles:
    """The saved indexes of one vocabulary. Several processes may share the folder.

    Args:
        root: the folder of all saved indexes.
        vocabulary: identifies the vocabulary that tokens are of.
        limit_bytes: for all indexes together; those used longest ago are deleted. 0 saves and reads none.
    """

    root: Path
    vocabulary: str
    limit_bytes: int

    def load(self, folder: str) -> list[IndexedFile]:
        """Return the files that were saved of a workspace folder; none if there is no index that is whole."""
        path = self._path(folder)
        if not self.limit_bytes:
            return []
        try:
            if path.stat().st_size > self.limit_bytes:
                raise DamagedIndexError("larger than the limit")
            files = _decode(path.read_bytes(), self._identity(folder))
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, KeyError) as error:
            logger.debug("Deleting %s: %s", path.name, error)
            _delete(path)
            return []
        with suppress(OSError):
            os.utime(path)
        return files

    def save(self, folder: str, files: Sequence[IndexedFile]) -> None:
        """Write the index of a workspace folder in place of the former one.

        The former one is deleted where the new one can't be written: it may hold what must not stay.

        Raises:
            OSError: no room or no permission.
        """
        newest = time.time_ns() - _SETTLED_NS
        settled = [
            file if file.stamp.modified_ns < newest or file.stamp == FileStamp() else file.unsettled()
            for file in files
        ]
        data = _encode(settled, self._identity(folder))
        path = self._path(folder)
        if len(data) > self.limit_bytes:
            logger.debug("The index of %d files is larger than the limit", len(files))
            _delete(path)
            return
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.root.chmod(0o700)
            with atomic_write(path, mode=0o600, shared=True) as partial:
                partial.write_bytes(data)
        except OSError:
            _delete(path)
            raise
        self._keep_within_limit()

    def delete_others(self, folder: str) -> None:
        """Delete the indexes of a folder by other vocabularies: they may hold what must not stay."""
        for path in self.root.glob(f"{_short_digest(folder)}-*.index"):
            if path != self._path(folder):
                _delete(path)

    def _identity(self, folder: str) -> str:
        return json.dumps([_RULES, self.vocabulary, folder])

    def _path(self, folder: str) -> Path:
        return self.root / f"{_short_digest(folder)}-{_short_digest(self._identity(folder))}.index"

    def _keep_within_limit(self) -> None:
        total = 0
        for path, found in index_files(self.root):
            total += found.st_size
            if total > self.limit_bytes:
                _delete(path)
        for path in self.root.glob("*.partial"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _ABANDONED_S:
                    path.unlink()


def _encode(files: Sequence[IndexedFile], identity: str) -> bytes:
    rows, payload = pack(files)
    header = json.dumps({"identity": identity, "files": rows}).encode()
    return _PREAMBLE.pack(_MAGIC, _digest(header, payload), len(header)) + header + payload


def _decode(data: bytes, identity: str) -> list[IndexedFile]:
    if len(data) < _PREAMBLE.size:
        raise DamagedIndexError("too short")
    magic, digest, length = _PREAMBLE.unpack_from(data)
    header, payload = data[_PREAMBLE.size : _PREAMBLE.size + length], data[_PREAMBLE.size + length :]
    if magic != _MAGIC or len(header) != length or _digest(header, payload) != digest:
        raise DamagedIndexError("damaged")
    described = json.loads(header)
    if described["identity"] != identity:
        raise DamagedIndexError("written for something else")
    return unpack(described["files"], payload)


def _delete(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _short_digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def _digest(header: bytes, payload: bytes) -> bytes:
    digest = hashlib.blake2b(len(header).to_bytes(4, "little"), digest_size=32)
    digest.update(header)
    digest.update(payload)
    return digest.digest()
