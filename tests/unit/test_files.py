from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from fim_lsp.files import atomic_write, lack_of_room, sha256_of, write_text_atomically


def test_the_digest_tells_how_far_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a" * 3_000_000)
    progress: list[tuple[int, int]] = []
    digest = sha256_of(path, lambda done, total: progress.append((done, total)))
    assert digest == sha256_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert progress[-1] == (3_000_000, 3_000_000)
    assert len(progress) == 3


@pytest.mark.parametrize("shared", [False, True])
def test_a_file_is_replaced_whole(tmp_path: Path, shared: bool) -> None:
    path = tmp_path / "file.json"
    path.write_text("old")
    with atomic_write(path, shared=shared) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
        assert partial.parent == tmp_path
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text("old")
    with suppress(ValueError), atomic_write(path) as partial:
        partial.write_text("ne")
        raise ValueError("half written")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "file.json.partial").write_text("much that was left by another process")
    write_text_atomically(tmp_path / "file.json", "ä")
    assert (tmp_path / "file.json").read_bytes() == "ä".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["file.json"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
class TestPermissions:
    def test_private_from_the_first_byte(self, tmp_path: Path) -> None:
        with atomic_write(tmp_path / "secret", mode=0o600) as partial:
            assert _mode(partial) == 0o600
            with partial.open("wb") as file:
                file.write(b"text")
        assert _mode(tmp_path / "secret") == 0o600

    def test_those_of_the_replaced_file_are_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "settings.json"
        path.write_text("{}")
        path.chmod(0o600)
        write_text_atomically(path, "[]")
        assert _mode(path) == 0o600

    def test_a_new_file_gets_the_usual_ones(self, tmp_path: Path) -> None:
        (tmp_path / "plain").write_text("")
        write_text_atomically(tmp_path / "new", "")
        assert _mode(tmp_path / "new") == _mode(tmp_path / "plain")


def test_too_little_room_is_put_in_words(tmp_path: Path) -> None:
    assert lack_of_room(tmp_path, 1) is None
    text = lack_of_room(tmp_path, 10**18, "a checkpoint")
    assert text is not None
    assert text.startswith(f"The disk of {tmp_path} has ")
    assert text.endswith("1,000,000,000,000 MB are needed for a checkpoint.")


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
