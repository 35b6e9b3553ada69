from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from fim_lsp.engine import kv_state_file as parked_file
from fim_lsp.engine.kv_state_file import KvState, read_payload, read_state, write_state
from fim_lsp.engine.kv_state_store import KvStateStore, clear_kv_states, kv_state_files
from fim_lsp.types import AppliedAdapter, Prompt

TOKENS = tuple(range(100))
PIECES = tuple(bytes([token]) for token in range(128))
STYLE = (AppliedAdapter(Path("/loras/style \udce9.gguf"), 0.5, 7),)


def lot(root: Path, identity: str = "model", limit: int = 1_000_000) -> KvStateStore:
    return KvStateStore(root, identity, limit)


def put(
    lot: KvStateStore, tokens: tuple[int, ...] = TOKENS, adapters: tuple[AppliedAdapter, ...] = ()
) -> None:
    written = lot.put(tokens, adapters, lambda: b"state of " + bytes(tokens))
    assert written is not None
    written.result()


def test_a_state_is_read_as_it_was_written(tmp_path):
    state = KvState("model", TOKENS, STYLE)
    path = tmp_path / state.name
    write_state(path, state, b"payload")
    assert read_state(path) == state
    assert read_payload(path) == b"payload"


def test_the_state_that_shares_most_is_found_under_its_own_adapters_alone(tmp_path):
    saved = lot(tmp_path)
    put(saved, TOKENS[:80])
    put(saved, (*TOKENS[:40], 0, *TOKENS[:60]))
    put(saved, TOKENS, STYLE)
    for one in (saved, lot(tmp_path)):
        state, shared = one.find(Prompt(TOKENS, ""), PIECES)
        assert (state.tokens, shared) == (TOKENS[:80], 80)
        assert one.find(Prompt(TOKENS, "", adapters=STYLE), PIECES)[1] == 100
        other = (AppliedAdapter(STYLE[0].path, 0.5, 8),)
        assert one.find(Prompt(TOKENS, "", adapters=other), PIECES) is None


def test_another_identity_finds_nothing_and_deletes_nothing(tmp_path):
    put(lot(tmp_path))
    assert lot(tmp_path, "other").find(Prompt(TOKENS, ""), PIECES) is None
    assert len(kv_state_files(tmp_path)) == 1


def test_two_processes_see_what_the_other_one_wrote_and_dropped(tmp_path):
    one, other = lot(tmp_path), lot(tmp_path)
    assert other.find(Prompt(TOKENS, ""), PIECES) is None
    put(one)
    assert other.find(Prompt(TOKENS, ""), PIECES)[1] == 100
    clear_kv_states(tmp_path)
    assert one.find(Prompt(TOKENS, ""), PIECES) is None
    assert other.find(Prompt(TOKENS, ""), PIECES) is None


def test_a_state_dropped_between_look_and_load_is_nothing(tmp_path):
    saved = lot(tmp_path)
    put(saved)
    state, _ = saved.find(Prompt(TOKENS, ""), PIECES)
    clear_kv_states(tmp_path)
    assert saved.load(state) is None


def test_the_limit_is_for_all_models_together_and_use_counts(tmp_path):
    first, second = lot(tmp_path, "first"), lot(tmp_path, "second")
    put(first)
    put(second)
    (newest, _), (oldest, _) = kv_state_files(tmp_path)
    os.utime(oldest, (1, 1))
    os.utime(newest, (2, 2))
    size = sum(path.stat().st_size for path in (newest, oldest))
    first.load(first.find(Prompt(TOKENS, ""), PIECES)[0])
    put(lot(tmp_path, "third", size + 50))
    assert [path.exists() for path in (oldest, newest)] == [True, False]


def test_a_state_larger_than_the_limit_is_not_written(tmp_path):
    assert lot(tmp_path, limit=50).put(TOKENS, (), lambda: bytes(51)) is None
    assert kv_state_files(tmp_path) == []


def test_a_full_disk_leaves_no_part_of_a_file(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(parked_file.os, "replace", full)
    saved = lot(tmp_path)
    put(saved)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert saved.find(Prompt(TOKENS, ""), PIECES) is None


def test_what_a_dead_process_left_half_written_is_deleted_and_what_is_being_written_is_not(tmp_path):
    put(lot(tmp_path))
    folder = kv_state_files(tmp_path)[0][0].parent
    dead, alive = folder / "a.1.partial", folder / "b.2.partial"
    dead.touch()
    alive.touch()
    os.utime(dead, (1, 1))
    put(lot(tmp_path), TOKENS[::-1])
    assert (dead.exists(), alive.exists()) == (False, True)


def test_copies_do_not_pile_up_while_the_disk_is_slow(tmp_path, monkeypatch):
    go_on, copied = threading.Event(), []
    monkeypatch.setattr(parked_file.os, "replace", lambda *_: go_on.wait(10))
    saved = lot(tmp_path)

    def copy() -> bytes:
        copied.append(1)
        return b"state"

    begun = [saved.put(tuple(range(at, at + 64)), (), copy) for at in range(5)]
    assert [one is not None for one in begun] == [True, True, False, False, False]
    assert len(copied) == 2
    state, shared = saved.find(Prompt(tuple(range(64)), ""), PIECES)
    assert (shared, saved.load(state)) == (64, b"state")
    go_on.set()
    saved.close()


@pytest.mark.parametrize("ahead", [0, 31, 32])
def test_what_is_hardly_ahead_counts_as_parked(tmp_path, ahead):
    saved = lot(tmp_path)
    put(saved, TOKENS[:64])
    assert saved.holds(TOKENS[: 64 + ahead], ()) == (ahead < 32)
    assert not saved.holds(TOKENS[: 64 + ahead], STYLE)
