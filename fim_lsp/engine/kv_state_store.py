"""Evaluated states outlive their place in the KV cache, and the process: they are saved in files.

Evaluating a thousand tokens takes seconds, reading them back some tens of milliseconds. What is evicted, and
what is there when nobody types or the engine is closed, is copied on the inference thread (512 tokens take
2 ms) and written on another. A prompt that shares much more with a saved state than with anything in the
cache gets it back. Nothing here is an error to anybody: what can't be written or read is evaluated, as ever.
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
from fim_lsp.types import AppliedAdapter, Prompt

logger = logging.getLogger(__name__)

WORTH_SAVING = 64
"""Tokens that must be saved; reading a state takes as long as evaluating a few of them."""
_NEWS = 32
"""Tokens by which a state must be ahead of a saved one to be written again."""
_MOST_WAITING = 2
"""Copies that may wait for the disk: each holds tens of megabytes."""
_ABANDONED_S = 3600.0
"""Age of a half written file whose process can be taken for dead."""


def kv_state_files(root: Path) -> list[tuple[Path, os.stat_result]]:
    """All saved states of all models, the last used first."""
    found = []
    for path in root.glob("*/*.kv"):
        with suppress(OSError):
            found.append((path, path.stat()))
    return sorted(found, key=lambda one: one[1].st_mtime_ns, reverse=True)


def clear_kv_states(root: Path) -> None:
    """Delete every saved state.

    Raises:
        OSError: one of them can't be deleted.
    """
    for path in (*root.glob("*/*.kv"), *root.glob("*/*.partial")):
        path.unlink(missing_ok=True)


class KvStateStore:
    """The files of one identity under a root that all share. Used on the inference thread; writes on its own.

    Args:
        root: The folder of all saved states.
        identity: Of model, library and cache; a state under another one is of no use.
        limit_bytes: For all identities together; the least recently used files are dropped.
    """

    def __init__(self, root: Path, identity: str, limit_bytes: int) -> None:
        self._root = root
        self._identity = identity
        self._folder = root / hashlib.blake2b(identity.encode(), digest_size=8).hexdigest()
        self._limit_bytes = limit_bytes
        self._known: dict[str, KvState] = {}
        self._waiting: dict[str, tuple[Future[None], Payload]] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fim-lsp-parking")

    def find(self, prompt: Prompt, pieces: Sequence[bytes]) -> tuple[KvState, int] | None:
        """The state that serves a prompt best, and about how many of its tokens do."""
        self._look()
        shared = [
            (count_shared(state.tokens, prompt.head, prompt.tail, pieces), name)
            for name, state in self._known.items()
            if state.adapters == prompt.adapters
        ]
        count, name = max(shared, default=(0, ""))
        return (self._known[name], count) if count else None

    def load(self, state: KvState) -> Payload | None:
        """A state's payload; None where it is gone or damaged. It counts as used now."""
        if state.name in self._waiting:
            return self._waiting[state.name][1]
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
        """Delete a file that is of no use."""
        self._known.pop(state.name, None)
        _delete(self._folder / state.name, reason)

    def holds(self, tokens: Sequence[int], adapters: tuple[AppliedAdapter, ...]) -> bool:
        """Whether nearly all of this is saved, or about to be."""
        return any(
            state.adapters == adapters and len(tokens) - common_prefix(state.tokens, tokens) < _NEWS
            for state in self._known.values()
        )

    def put(
        self, tokens: Sequence[int], adapters: tuple[AppliedAdapter, ...], copy: Callable[[], Payload | None]
    ) -> Future[None] | None:
        """Have a state written, instead of those that it continues; None where the disk can't keep up."""
        self._look()
        payload = copy() if len(self._waiting) < _MOST_WAITING else None
        if payload is None or len(payload) > self._limit_bytes:
            return None
        state = KvState(self._identity, tuple(tokens), adapters)
        former = [
            name
            for name, one in self._known.items()
            if one.adapters == adapters and len(one.tokens) - common_prefix(one.tokens, tokens) < _NEWS
        ]
        for name in former:
            del self._known[name]
        self._known[state.name] = state
        written = self._thread.submit(self._write, state, payload, former)
        self._waiting[state.name] = written, payload
        return written

    def close(self) -> None:
        """Wait for what is being written."""
        self._thread.shutdown(wait=True)

    def _look(self) -> None:
        """Take up what other processes wrote and dropped; what is not ours to use is deleted."""
        self._waiting = {name: one for name, one in self._waiting.items() if not one[0].done()}
        try:
            names = {entry.name for entry in os.scandir(self._folder) if entry.name.endswith(".kv")}
        except OSError:
            names = set()
        for name in self._known.keys() - names - self._waiting.keys():
            del self._known[name]
        for name in names - self._known.keys():
            path = self._folder / name
            try:
                state = read_state(path)
                if state.identity != self._identity or state.name != name:
                    raise DamagedError("written for something else")
            except (OSError, DamagedError) as error:
                _delete(path, error)
            else:
                self._known[name] = state

    def _write(self, state: KvState, payload: Payload, former: Sequence[str]) -> None:
        try:
            for folder in (self._root, self._folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                folder.chmod(0o700)
            write_state(self._folder / state.name, state, payload)
        except OSError as error:
            logger.debug("A state could not be saved: %s", error)
            return
        for name in former:
            if name != state.name:
                _delete(self._folder / name, "continued")
        self._keep_within_limit()

    def _keep_within_limit(self) -> None:
        total = 0
        for path, stat in kv_state_files(self._root):
            total += stat.st_size
            if total > self._limit_bytes:
                _delete(path, "no room")
        for path in self._root.glob("*/*.partial"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _ABANDONED_S:
                    path.unlink()


def _delete(path: Path, reason: object) -> None:
    logger.debug("Deleting %s: %s", path.name, reason)
    with suppress(OSError):
        path.unlink(missing_ok=True)


@frozen
class KvStateSaver:
    """Between one engine's KV cache, as its mirror tells it, and a lot. Used on the inference thread."""

    lot: KvStateStore
    mirror: Mirror
    copy: Callable[[int], Payload | None]
    """The bytes of a sequence."""
    restore: Callable[[int, Payload, int], bool]
    """Make a sequence hold these bytes, of so many tokens, and nothing else; if False, it holds nothing."""

    def fetch(self, prompt: Prompt, slot: Slot, pieces: Sequence[bytes]) -> bool:
        """Get back a state that serves a prompt much better than its slot; then it needs another slot."""
        found = self.lot.find(prompt, pieces)
        if found is None or found[1] - slot.plan.keep < WORTH_SAVING:
            return False
        saved, _ = found
        if max(saved.tokens) >= len(pieces) or (payload := self.lot.load(saved)) is None:
            return False
        sequence = slot.choice.sequence
        self._leave(sequence, prompt, 0)
        state = self.mirror.states[sequence]
        state.tokens.clear()
        state.location = ""
        if not self.restore(sequence, payload, len(saved.tokens)):
            self.lot.discard(saved, "llama.cpp refused it")
            return False
        state.tokens[:] = saved.tokens
        state.adapters = saved.adapters
        return True

    def leave(self, slot: Slot, prompt: Prompt) -> None:
        """Park what is lost when a prompt takes its slot, unless it was of the same place."""
        keep = slot.plan.keep if slot.choice.source is None else 0
        self._leave(slot.choice.sequence, prompt, keep)

    def _leave(self, sequence: int, prompt: Prompt, keep: int) -> None:
        state = self.mirror.states[sequence]
        of_the_place = (
            bool(prompt.location) and state.location == prompt.location and state.adapters == prompt.adapters
        )
        if not of_the_place and len(state.tokens) - keep >= WORTH_SAVING:
            self._save(sequence)

    def save_one(self) -> Future[None] | None:
        """Begin to write one sequence that is not saved; None once all are."""
        return next(self._begun(), None)

    def close(self) -> None:
        """Park everything, and wait for it."""
        for written in self._begun():
            written.result()
        self.lot.close()

    def _begun(self) -> Iterator[Future[None]]:
        # The longest first: others may be no more than its beginning.
        for sequence in sorted(range(len(self.mirror.states)), key=self._held, reverse=True):
            if self._held(sequence) >= WORTH_SAVING and (written := self._save(sequence)) is not None:
                yield written

    def _held(self, sequence: int) -> int:
        return len(self.mirror.states[sequence].tokens)

    def _save(self, sequence: int) -> Future[None] | None:
        state = self.mirror.states[sequence]
        if self.lot.holds(state.tokens, state.adapters):
            return None
        return self.lot.put(state.tokens, state.adapters, lambda: self.copy(sequence))
