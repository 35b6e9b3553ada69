from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from fim_lsp.engine import kv_state_file
from fim_lsp.engine.kv_state_file import KvState, read_payload, read_state, write_state
from fim_lsp.engine.kv_state_store import KvStateStore, clear_kv_states, kv_state_files
from fim_lsp.types import AppliedAdapter, Prompt

TOKENS = tuple(range(100))
PIECES = tuple(bytes([token]) for token in range(128))
STYLE = (AppliedAdapter(Path("/loras/style \udce9.gguf"), 0.5, 7),)


def open_store(root: Path, identity: str = "model", limit: int = 1_000_000) -> KvStateStore:
    return KvStateStore(root, identity, limit)


def save(
    store: KvStateStore, tokens: tuple[int, ...] = TOKENS, adapters: tuple[AppliedAdapter, ...] = ()
) -> None:
    written = store.save(tokens, adapters, lambda: b"state of " + bytes(tokens))
    assert written is not None
    written.result()


def test_a_state_is_read_as_it_was_written(tmp_path):
    state = KvState("model", TOKENS, STYLE)
    path = tmp_path / state.name
    write_state(path, state, b"payload")
    assert read_state(path) == state
    assert read_payload(path) == b"payload"


def test_the_state_that_shares_most_is_found_under_its_own_adapters_only(tmp_path):
    store = open_store(tmp_path)
    save(store, TOKENS[:80])
    save(store, (*TOKENS[:40], 0, *TOKENS[:60]))
    save(store, TOKENS, STYLE)
    for reader in (store, open_store(tmp_path)):
        state, shared = reader.find(Prompt(TOKENS, ""), PIECES)
        assert (state.tokens, shared) == (TOKENS[:80], 80)
        assert reader.find(Prompt(TOKENS, "", adapters=STYLE), PIECES)[1] == 100
        other = (AppliedAdapter(STYLE[0].path, 0.5, 8),)
        assert reader.find(Prompt(TOKENS, "", adapters=other), PIECES) is None


def test_another_identity_finds_nothing_and_deletes_nothing(tmp_path):
    save(open_store(tmp_path))
    assert open_store(tmp_path, "other").find(Prompt(TOKENS, ""), PIECES) is None
    assert len(kv_state_files(tmp_path)) == 1


def test_two_processes_see_what_the_other_wrote_and_deleted(tmp_path):
    writer, other = open_store(tmp_path), open_store(tmp_path)
    assert other.find(Prompt(TOKENS, ""), PIECES) is None
    save(writer)
    assert other.find(Prompt(TOKENS, ""), PIECES)[1] == 100
    clear_kv_states(tmp_path)
    assert writer.find(Prompt(TOKENS, ""), PIECES) is None
    assert other.find(Prompt(TOKENS, ""), PIECES) is None


def test_a_state_deleted_between_find_and_load_is_none(tmp_path):
    store = open_store(tmp_path)
    save(store)
    state, _ = store.find(Prompt(TOKENS, ""), PIECES)
    clear_kv_states(tmp_path)
    assert store.load(state) is None


def test_the_limit_is_for_all_models_together_and_use_counts(tmp_path):
    first, second = open_store(tmp_path, "first"), open_store(tmp_path, "second")
    save(first)
    save(second)
    (newest, _), (oldest, _) = kv_state_files(tmp_path)
    os.utime(oldest, (1, 1))
    os.utime(newest, (2, 2))
    size = sum(path.stat().st_size for path in (newest, oldest))
    first.load(first.find(Prompt(TOKENS, ""), PIECES)[0])
    save(open_store(tmp_path, "third", size + 50))
    assert [path.exists() for path in (oldest, newest)] == [True, False]


def test_a_state_larger_than_the_limit_is_not_written(tmp_path):
    assert open_store(tmp_path, limit=50).save(TOKENS, (), lambda: bytes(51)) is None
    assert kv_state_files(tmp_path) == []


def test_a_full_disk_leaves_no_part_of_a_file(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kv_state_file.os, "replace", full)
    store = open_store(tmp_path)
    save(store)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert store.find(Prompt(TOKENS, ""), PIECES) is None


def test_a_partial_file_of_a_dead_process_is_deleted_and_one_in_progress_is_not(tmp_path):
    save(open_store(tmp_path))
    folder = kv_state_files(tmp_path)[0][0].parent
    dead, alive = folder / "a.1.partial", folder / "b.2.partial"
    dead.touch()
    alive.touch()
    os.utime(dead, (1, 1))
    save(open_store(tmp_path), TOKENS[::-1])
    assert (dead.exists(), alive.exists()) == (False, True)


def test_copies_do_not_pile_up_while_the_disk_is_slow(tmp_path, monkeypatch):
    release, copied = threading.Event(), []
    monkeypatch.setattr(kv_state_file.os, "replace", lambda *_: release.wait(10))
    store = open_store(tmp_path)

    def copy() -> bytes:
        copied.append(1)
        return b"state"

    begun = [store.save(tuple(range(start, start + 64)), (), copy) for start in range(5)]
    assert [written is not None for written in begun] == [True, True, False, False, False]
    assert len(copied) == 2
    state, shared = store.find(Prompt(tuple(range(64)), ""), PIECES)
    assert (shared, store.load(state)) == (64, b"state")
    release.set()
    store.close()


@pytest.mark.parametrize("ahead", [0, 31, 32])
def test_a_sequence_hardly_ahead_of_its_state_counts_as_saved(tmp_path, ahead):
    store = open_store(tmp_path)
    save(store, TOKENS[:64])
    assert store.holds(TOKENS[: 64 + ahead], ()) == (ahead < 32)
    assert not store.holds(TOKENS[: 64 + ahead], STYLE)
