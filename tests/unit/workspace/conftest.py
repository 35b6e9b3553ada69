"""Indexes of small workspaces, whose tokens are bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from attrs import define, field

from fim_lsp.completion.enabled import matches_any
from fim_lsp.engine.scripted import ByteTokenizer
from fim_lsp.secret_files import FILES_WITH_SECRETS
from fim_lsp.workspace.file_text import FileReading
from fim_lsp.workspace.indexed_file import IndexedFile
from fim_lsp.workspace.indexer import Indexer, IndexPlan
from fim_lsp.workspace.words import defined_in, hash_names, names_in

PLENTY = 1_000_000


def is_disabled(path: str) -> bool:
    return matches_any(Path(path), FILES_WITH_SECRETS)


def index_bytes(path: str, reading: FileReading) -> IndexedFile:
    tokens = np.array(ByteTokenizer().encode(reading.text), np.uint16)
    names, defined = hash_names(names_in(reading.text)), hash_names(defined_in(reading.text))
    return IndexedFile(path, reading.language, reading.stamp, tokens, names, defined)


def text_of(file: IndexedFile) -> str:
    return bytes(file.tokens.astype(np.uint8)).decode()


@define
class Mirror:
    """What a server knows of an indexer: the files that it was told of."""

    indexer: Indexer = field(factory=lambda: Indexer(index_bytes))
    files: dict[str, IndexedFile] = field(factory=dict)
    remarks: list[str] = field(factory=list)
    order: list[str] = field(factory=list)
    """The paths in the order in which they were told."""

    def start(self, *folders: Path, max_tokens: int = PLENTY) -> None:
        self.indexer.start(IndexPlan(tuple(map(str, folders)), max_tokens, is_disabled))

    def settle(self) -> None:
        """Let the indexer work until it has nothing to do."""
        for _ in range(10_000):
            self.take()
            if self.indexer.finished:
                return
            self.indexer.step()
        raise AssertionError("the indexer does not come to an end")

    def take(self) -> None:
        changes = self.indexer.take_changes()
        returned = {file.path for file in changes.files}
        for path in changes.gone:
            if path not in returned:
                self.files.pop(path)
        for file in changes.files:
            self.files[file.path] = file
            self.order.append(file.path)
        self.remarks += changes.remarks

    def texts(self, root: Path) -> dict[str, str]:
        """Return the texts in the index, by path below a folder."""
        return {Path(path).relative_to(root).as_posix(): text_of(file) for path, file in self.files.items()}


@pytest.fixture
def mirror() -> Mirror:
    return Mirror()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "project"
    folder.mkdir()
    return folder


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
