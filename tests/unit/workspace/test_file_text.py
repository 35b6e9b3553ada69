"""Files that change, grow, hang or may not be read while they are indexed."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fim_lsp.workspace.file_text import MOST_BYTES, read_file
from tests.unit.workspace.conftest import write

CODE = "def total(items):\n    return sum(items)\n"


def change_while_read(monkeypatch: pytest.MonkeyPatch, change: Callable[[int], None]) -> list[int]:
    """Call a function between the bytes of a file and its status; return the number of each read."""
    reads: list[int] = []
    open_descriptor = os.fdopen

    class Changing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            reads.append(len(reads) + 1)
            change(len(reads))
            return data

    def fdopen(descriptor: int, *arguments: Any, **options: Any) -> io.BytesIO:
        with open_descriptor(descriptor, "rb") as file:
            return Changing(file.read())

    monkeypatch.setattr(os, "fdopen", fdopen)
    return reads


def test_file_that_changed_while_it_was_read_is_read_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, {"a.py": CODE})

    def append_once(read: int) -> None:
        if read == 1:
            with (root / "a.py").open("a") as file:
                file.write("more = 1\n")

    reads = change_while_read(monkeypatch, append_once)
    reading = read_file(str(root / "a.py"))
    assert (reading.text, reading.problem) == (CODE + "more = 1\n", "")
    assert reads == [1, 2]


def test_file_that_never_comes_to_rest_is_left_out(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root, {"a.py": CODE})

    def append(read: int) -> None:
        with (root / "a.py").open("a") as file:
            file.write(f"more = {read}\n")

    reads = change_while_read(monkeypatch, append)
    reading = read_file(str(root / "a.py"))
    assert (reading.text, reading.problem) == ("", "changing")
    assert len(reads) == 3


def test_file_that_grew_or_became_a_link_or_a_pipe_since_it_was_listed_is_not_read(root: Path) -> None:
    write(root, {"large.py": "#" * (MOST_BYTES + 1), "a.py": CODE})
    assert read_file(str(root / "large.py")).problem == "too large"
    (root / "link.py").symlink_to(root / "a.py")
    assert read_file(str(root / "link.py")).problem == "link"
    assert read_file(str(root / "gone.py")).problem == "unreadable"
    if hasattr(os, "mkfifo"):
        os.mkfifo(root / "pipe.py")
        assert read_file(str(root / "pipe.py")).problem == "no file"
