"""The index on the disk: private, bounded, whole or not used at all."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from fim_lsp.workspace.file_text import read_file
from fim_lsp.workspace.index_file import IndexFiles, clear_index_files, index_files
from fim_lsp.workspace.indexed_file import IndexedFile
from tests.unit.workspace.conftest import PLENTY, index_bytes, text_of, write

CODE = "def total(items):\n    return sum(items)\n"


def version(root: Path, name: str, text: str = CODE) -> IndexedFile:
    write(root, {name: text})
    os.utime(root / name, (1_000_000_000, 1_000_000_000))
    return index_bytes(str(root / name), read_file(str(root / name)))


@pytest.fixture
def store(tmp_path: Path) -> IndexFiles:
    return IndexFiles(tmp_path / "index", "bytes", PLENTY)


def test_saved_files_are_the_same_and_private(root: Path, store: IndexFiles) -> None:
    wide = version(root, "wide.py")
    saved = [version(root, "a.py"), IndexedFile(str(root / "b.py"), problem="secret"), wide]
    store.save(str(root), saved)
    loaded = store.load(str(root))
    assert [(file.path, file.stamp, file.problem) for file in loaded] == [
        (file.path, file.stamp, file.problem) for file in saved
    ]
    assert text_of(loaded[0]) == CODE
    assert loaded[0].names.tolist() == saved[0].names.tolist()
    assert loaded[0].defined.tolist() == saved[0].defined.tolist()
    ((path, found),) = index_files(store.root)
    if os.name != "nt":
        assert found.st_mode & 0o777 == 0o600
        assert store.root.stat().st_mode & 0o777 == 0o700
    clear_index_files(store.root)
    assert not path.exists()


def test_every_byte_counts(root: Path, store: IndexFiles) -> None:
    store.save(str(root), [version(root, "a.py")])
    ((path, _),) = index_files(store.root)
    whole = path.read_bytes()
    for index in range(0, len(whole), 7):
        path.write_bytes(whole[:index] + bytes([whole[index] ^ 1]) + whole[index + 1 :])
        assert store.load(str(root)) == []
        assert not path.exists()
    for length in (0, 10, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert store.load(str(root)) == []
    path.write_bytes(whole)
    assert len(store.load(str(root))) == 1


def test_index_of_another_vocabulary_or_folder_is_not_used(root: Path, store: IndexFiles) -> None:
    store.save(str(root), [version(root, "a.py")])
    ((path, _),) = index_files(store.root)
    other = IndexFiles(store.root, "other", PLENTY)
    other.save(str(root), [])
    assert other.load(str(root)) == []
    for target in {found for found, _ in index_files(store.root)} - {path}:
        target.write_bytes(path.read_bytes())
        assert other.load(str(root)) == []
    assert store.load(str(root.parent)) == []


def test_disk_is_bounded_and_off_by_one_setting(root: Path, store: IndexFiles) -> None:
    files = [version(root, "a.py")]
    for number in range(6):
        IndexFiles(store.root, str(number), 1200).save(str(root), files)
        time.sleep(0.01)
    sizes = [found.st_size for _, found in index_files(store.root)]
    assert sum(sizes) <= 1200
    assert len(IndexFiles(store.root, "5", 1200).load(str(root))) == 1
    assert IndexFiles(store.root, "0", 1200).load(str(root)) == []
    off = IndexFiles(store.root / "off", "bytes", 0)
    off.save(str(root), files)
    assert not off.root.exists()
    assert IndexFiles(store.root, "5", 0).load(str(root)) == []


def test_file_that_was_just_written_is_read_again(root: Path, store: IndexFiles) -> None:
    write(root, {"a.py": CODE})
    fresh = index_bytes(str(root / "a.py"), read_file(str(root / "a.py")))
    store.save(str(root), [fresh, version(root, "b.py")])
    stamps = {Path(file.path).name: file.stamp for file in store.load(str(root))}
    assert stamps["a.py"] != fresh.stamp
    assert stamps["b.py"] == version(root, "b.py").stamp


def test_index_that_can_not_be_replaced_does_not_stay(root: Path, store: IndexFiles) -> None:
    store.save(str(root), [version(root, "a.py")])
    small = IndexFiles(store.root, store.vocabulary, 200)
    small.save(str(root), [version(root, "b.py")])
    assert not index_files(store.root)
    store.save(str(root), [version(root, "a.py")])
    ((path, _),) = index_files(store.root)
    # In the way of what is written first, as a full disk is.
    (path.parent / f"{path.name}.{os.getpid()}.partial").mkdir()
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on the system
        store.save(str(root), [version(root, "b.py")])
    assert store.load(str(root)) == []
