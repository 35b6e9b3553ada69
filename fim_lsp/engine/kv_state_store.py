"""Saved KV states: evaluated tokens that outlive their sequence of the cache, and the process.

To evaluate a thousand tokens takes seconds, to read their state some tens of milliseconds. A sequence is
copied on the inference thread (512 tokens take 2 ms) when it is evicted, when the user pauses, and when the
engine is closed; another thread writes the copy. A prompt that shares much more with a saved state than with
any sequence of the cache has that state restored. Nothing here is an error to the caller: tokens whose state
can't be written or read are evaluated.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from attrs import frozen

from fim_lsp.engine.kv_state_file import (
    DamagedError,
    KvState,
    Payload,
    read_payload,
    read_state,
    write_state,
)
from fim_lsp.engine.mirror import Mirror, Slot
from fim_lsp.engine.sequence import common_prefix, count_shared
from fim_lsp.files import last_used_first
from fim_lsp.types import AppliedAdapter, Prompt

logger = logging.getLogger(__name__)

WORTH_SAVING = 64
"""Tokens that a saved state must spare: to read one takes as long as to evaluate a few tokens."""
_NEW_TOKENS = 32
"""Tokens by which a sequence must be ahead of its saved state to be written again."""
_MOST_WRITING = 2
"""Copies that may wait for the disk: each holds tens of megabytes."""
_ABANDONED_S = 3600.0
"""Age at which a partial file counts as left by a process that died."""


def kv_state_files(root: Path) -> list[tuple[Path, os.stat_result]]:
    """Return all saved states of all models, the last used first."""
    return last_used_first(root, "*/*.kv")


def clear_kv_states(root: Path) -> None:
    """Delete every saved state.

    Raises:
        OSError: one of them can't be deleted.
    """
    for path in (*root.glob("*/*.kv"), *root.glob("*/*.partial")):
        path.unlink(missing_ok=True)


class KvStateStore:
    """The saved states of one identity. Used on the inference thread; writes on its own thread.

    Args:
        root: The folder of all saved states, which several processes share.
        identity: Of model, library and cache. A state of another identity can't be used.
        limit_bytes: For all identities together. The least recently used files are deleted.
    """

    def __init__(self, root: Path, identity: str, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._root = root
        self._identity = identity
        self._folder = root / hashlib.blake2b(identity.encode(), digest_size=8).hexdigest()
        self._states: dict[str, KvState] = {}
        self._writing: dict[str, tuple[Future[None], Payload]] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fim-lsp-kv-states")

    def find(self, prompt: Prompt, pieces: Sequence[bytes]) -> tuple[KvState, int] | None:
        """Find the state that a prompt shares most tokens with, and about how many; None if there is none."""
        self._scan()
        shared = [
            (count_shared(state.tokens, prompt.head, prompt.tail, pieces), name)
            for name, state in self._states.items()
            if state.adapters == prompt.adapters
        ]
        count, name = max(shared, default=(0, ""))
        return (self._states[name], count) if count else None

    def load(self, state: KvState) -> Payload | None:
        """Read a state's payload and mark it as used now. Return None if the file is gone or damaged."""
        if state.name in self._writing:
            return self._writing[state.name][1]
        path = self._folder / state.name
        try:
            payload = read_payload(path)
        except (OSError, DamagedError) as error:
            self.discard(state, error)
            return None
        with suppress(OSError):
            os.utime(path)
        return payload

    def discard(self, state: KvState, reason: object) -> None:
        """Delete a state that can't be used."""
        self._states.pop(state.name, None)
        _delete(self._folder / state.name, reason)

    def holds(self, tokens: Sequence[int], adapters: tuple[AppliedAdapter, ...]) -> bool:
        """Return whether nearly all of these tokens are saved, or being written."""
        return any(
            state.adapters == adapters and len(tokens) - common_prefix(state.tokens, tokens) < _NEW_TOKENS
            for state in self._states.values()
        )

    def save(
        self, tokens: Sequence[int], adapters: tuple[AppliedAdapter, ...], copy: Callable[[], Payload | None]
    ) -> Future[None] | None:
        """Have a state written in place of those that it continues.

        Returns:
            A future that is done once it is written. None if there is no copy, if it is too large, or if the
            disk is too slow for one more.
        """
        self._scan()
        payload = copy() if len(self._writing) < _MOST_WRITING else None
        if payload is None or len(payload) > self.limit_bytes:
            return None
        state = KvState(self._identity, tuple(tokens), adapters)
        continued = [
            name
            for name, saved in self._states.items()
            if saved.adapters == adapters
            and len(saved.tokens) - common_prefix(saved.tokens, tokens) < _NEW_TOKENS
        ]
        for name in continued:
            del self._states[name]
        self._states[state.name] = state
        written = self._thread.submit(self._write, state, payload, continued)
        self._writing[state.name] = written, payload
        return written

    def close(self) -> None:
        """Wait until everything is written."""
        self._thread.shutdown(wait=True)

    def _scan(self) -> None:
        """Bring the list of states up to date with the folder. Delete files that are damaged or foreign."""
        self._writing = {name: write for name, write in self._writing.items() if not write[0].done()}
        try:
            names = {entry.name for entry in os.scandir(self._folder) if entry.name.endswith(".kv")}
        except OSError:
            names = set()
        for name in self._states.keys() - names - self._writing.keys():
            del self._states[name]
        for name in names - self._states.keys():
            path = self._folder / name
            try:
                state = read_state(path)
                if state.identity != self._identity or state.name != name:
                    raise DamagedError("written for something else")
            except (OSError, DamagedError) as error:
                _delete(path, error)
            else:
                self._states[name] = state

    def _write(self, state: KvState, payload: Payload, continued: Sequence[str]) -> None:
        """Write a file on the store's own thread, then delete the states that it continues."""
        try:
            for folder in (self._root, self._folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                folder.chmod(0o700)
            write_state(self._folder / state.name, state, payload)
        except OSError as error:
            logger.debug("A state could not be saved: %s", error)
            return
        for name in continued:
            if name != state.name:
                _delete(self._folder / name, "continued")
        self._keep_within_limit()

    def _keep_within_limit(self) -> None:
        total = 0
        for path, stat in kv_state_files(self._root):
            total += stat.st_size
            if total > self.limit_bytes:
                _delete(path, "no room")
        for path in self._root.glob("*/*.partial"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _ABANDONED_S:
                    path.unlink()


def _delete(path: Path, reason: object) -> None:
    logger.debug("Deleting %s: %s", path.name, reason)
    with suppress(OSError):
        path.unlink(missing_ok=True)


class SaveableCache(Protocol):
    """A KV cache whose sequences can be copied to bytes and back."""

    @property
    def mirror(self) -> Mirror:
        """The tokens that its sequences hold."""

    def save(self, sequence: int) -> Payload | None:
        """Copy a sequence. Return None if it holds nothing, or not exactly what the mirror lists."""

    def restore(self, sequence: int, payload: Payload, tokens: Sequence[int]) -> bool:
        """Replace a sequence by a copy that holds ``tokens``. If that fails, empty it and return False."""


@frozen
class KvStateSaver:
    """Saves the sequences of one engine's KV cache in a store, and restores them. On the inference thread."""

    store: KvStateStore
    cache: SaveableCache

    def restore(self, prompt: Prompt, slot: Slot, pieces: Sequence[bytes]) -> bool:
        """Restore a state into the slot's sequence if the prompt shares much more with it than with the slot.

        Returns:
            Whether a state was restored. The prompt then needs another slot.
        """
        found = self.store.find(prompt, pieces)
        if found is None or found[1] - slot.plan.keep < WORTH_SAVING:
            return False
        saved, _ = found
        if max(saved.tokens) >= len(pieces) or (payload := self.store.load(saved)) is None:
            return False
        sequence = slot.choice.sequence
        self._save_dropped(sequence, prompt, keep=0)
        state = self.cache.mirror.states[sequence]
        state.location = ""
        if not self.cache.restore(sequence, payload, saved.tokens):
            self.store.discard(saved, "llama.cpp refused it")
            return False
        state.adapters = saved.adapters
        return True

    def save_evicted(self, slot: Slot, prompt: Prompt) -> None:
        """Save the tokens that a prompt evicts from its slot, unless they are of its own location."""
        keep = slot.plan.keep if slot.choice.source is None else 0
        self._save_dropped(slot.choice.sequence, prompt, keep)

    def save_one(self) -> Future[None] | None:
        """Begin to write one sequence that is not saved. Return None if all are."""
        return next(self._saves(), None)

    def close(self) -> None:
        """Save every sequence, and wait until all are written."""
        for written in self._saves():
            written.result()
        self.store.close()

    def _save_dropped(self, sequence: int, prompt: Prompt, keep: int) -> None:
        state = self.cache.mirror.states[sequence]
        same_location = (
            bool(prompt.location) and state.location == prompt.location and state.adapters == prompt.adapters
        )
        if not same_location and len(state.tokens) - keep >= WORTH_SAVING:
            self._save(sequence)

    def _saves(self) -> Iterator[Future[None]]:
        # The longest first: others may be no more than its beginning.
        for sequence in sorted(range(len(self.cache.mirror.states)), key=self._held, reverse=True):
            if self._held(sequence) >= WORTH_SAVING and (written := self._save(sequence)) is not None:
                yield written

    def _held(self, sequence: int) -> int:
        return len(self.cache.mirror.states[sequence].tokens)

    def _save(self, sequence: int) -> Future[None] | None:
        state = self.cache.mirror.states[sequence]
        if self.store.holds(state.tokens, state.adapters):
            return None
        return self.store.save(state.tokens, state.adapters, lambda: self.cache.save(sequence))
