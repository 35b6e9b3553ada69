"""Read a file, unless it must not be kept: binary, minified, generated, secret, too large, a link."""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from pathlib import PurePath

from attrs import field, frozen

from fim_lsp.code.languages import language_of
from fim_lsp.code.secrets import holds_secret
from fim_lsp.files import real_path
from fim_lsp.prompt.snippets import is_readable
from fim_lsp.prompt.window import visible
from fim_lsp.workspace.content import is_generated, is_minified, is_table

MOST_BYTES = 1_000_000
_ATTEMPTS, _PAUSE_S = 3, 0.02
"""A file that changes while it is read is read again, so often, after such a pause."""
# Not through a link, and without waiting for the other end of a pipe; Windows has neither flag.
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
)


@frozen
class FileStamp:
    """The mark of one version of a file, known without reading it."""

    modified_ns: int = 0
    size: int = -1

    @classmethod
    def of(cls, found: os.stat_result) -> FileStamp:
        """Return the stamp of a file's status."""
        return cls(found.st_mtime_ns, found.st_size)


@frozen
class FileReading:
    """The outcome of reading a file."""

    text: str = field(default="", repr=False)
    """With LF line ends; empty where there is a problem."""
    language: str = ""
    stamp: FileStamp = FileStamp()
    problem: str = ""
    """Why the text must not be kept; empty if it may be."""


def spelled(path: str) -> str:
    """Return a path as :func:`fim_lsp.files.real_path` writes one that has no links."""
    return path if os.sep == "/" else PurePath(os.path.normcase(path)).as_posix()


def read_file(path: str) -> FileReading:
    """Read a file and screen its text.

    Args:
        path: As the system writes it. No part of it may be a link.
    """
    reading = FileReading(problem="unreadable")
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_S)
        reading = _read_once(path)
        if reading.problem != "changing":
            break
    return reading


def _read_once(path: str) -> FileReading:
    try:
        if real_path(PurePath(path)) != spelled(path):
            return FileReading(problem="link")
        descriptor = os.open(path, _FLAGS)
    except (OSError, ValueError):
        return FileReading(problem="unreadable")
    try:
        found = os.fstat(descriptor)
        stamp = FileStamp.of(found)
        if not stat.S_ISREG(found.st_mode):
            return FileReading(stamp=stamp, problem="no file")
        if found.st_size > MOST_BYTES:
            return FileReading(stamp=stamp, problem="too large")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            data = file.read(MOST_BYTES + 1)
        if FileStamp.of(os.fstat(descriptor)) != stamp or len(data) != stamp.size:
            return FileReading(stamp=stamp, problem="changing")
    except OSError:
        return FileReading(problem="unreadable")
    finally:
        with suppress(OSError):
            os.close(descriptor)
    return _screen(path, data, stamp)


def _screen(path: str, data: bytes, stamp: FileStamp) -> FileReading:
    if b"\0" in data:
        return FileReading(stamp=stamp, problem="binary")
    try:
        text = visible(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return FileReading(stamp=stamp, problem="not UTF-8")
    language = language_of(path, text)
    if language is None:
        return FileReading(stamp=stamp, problem="no known language")
    if problem := text_problem(text, prose=language.prose):
        return FileReading(stamp=stamp, problem=problem)
    return FileReading(text, language.id, stamp)


def text_problem(text: str, *, prose: bool = False) -> str:
    """Return the reason why a text must not be kept; empty if it may be. Prose has long lines."""
    if not is_readable(text):
        return "not written by hand"
    if not prose and is_minified(text):
        return "minified"
    if is_generated(text):
        return "generated"
    if is_table(text):
        return "a table"
    return "secret" if holds_secret(text) else ""
