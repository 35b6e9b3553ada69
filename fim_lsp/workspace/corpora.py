"""Sort the files of the index: a large corpus that is seldom built, and a small one of what changed since.

Sorting takes a tenth of a second for a million tokens, in a thread, almost all of it in numpy, which lets
other threads run. What came last is joined to what is sorted, array by array: work and objects for each file
are only those of the files that came. Requests take what is ready.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import compress, islice

from attrs import frozen

from fim_lsp.engine.memory import MemoryPart, TokenCorpus
from fim_lsp.engine.memory.corpus import LONGEST_MATCH, MOST_TOKENS
from fim_lsp.workspace.file_text import spelled
from fim_lsp.workspace.indexed_file import IndexedFile
from fim_lsp.workspace.names import Definitions, KnownNames, NameTable
from fim_lsp.workspace.words import NameHashes

logger = logging.getLogger(__name__)

_LARGE_PART = 0.25
"""Part of the large corpus that may have changed before it is built again."""
_SMALL_TOKENS = 100_000
"""Tokens that may have changed in any case."""
_REST, _LONGEST_REST_S = 3.0, 5.0
"""Rest after a build, in times that it took: what comes meanwhile is sorted together, and typing needs
cores."""
MOST_AT_ONCE = 250
"""Files that one step on the event loop looks at."""
_MANY_FILES = 1000
"""Files of the large corpus that may have changed: each request leaves them out again."""


@frozen(eq=False)
class _Sorted:
    """Files, sorted. All that is kept of them lies in a few arrays; see :class:`.TokenCorpus`."""

    corpus: TokenCorpus
    paths: tuple[str, ...]
    """As the system writes them, in the order of the corpus."""
    names: NameTable
    defined: NameTable
    known: NameHashes
    definitions: Definitions

    @classmethod
    def of(cls, files: Iterable[IndexedFile]) -> _Sorted:
        """Sort files."""
        filled = [file for file in files if len(file.tokens)]
        corpus = TokenCorpus.build((file.tokenized() for file in filled), MOST_TOKENS)
        held = [file for file in filled if corpus.holds(spelled(file.path))]
        names, defined = (NameTable.of(each) for each in ([f.names for f in held], [f.defined for f in held]))
        return cls._index(corpus, tuple(file.path for file in held), names, defined)

    @classmethod
    def join(cls, parts: Sequence[tuple[_Sorted, MemoryPart]]) -> _Sorted:
        """Sort the files of several, without those that their parts exclude."""
        marked = [(each, each.corpus.kept(part.excluded)) for each, part in parts]
        return cls._index(
            TokenCorpus.join([(each.corpus, kept) for each, kept in marked]),
            tuple(path for each, kept in marked for path in compress(each.paths, kept.tolist())),
            NameTable.join([(each.names, kept) for each, kept in marked]),
            NameTable.join([(each.defined, kept) for each, kept in marked]),
        )

    @classmethod
    def _index(
        cls, corpus: TokenCorpus, paths: tuple[str, ...], names: NameTable, defined: NameTable
    ) -> _Sorted:
        return cls(corpus, paths, names, defined, names.distinct(), Definitions.of(paths, defined))

    @property
    def memory_bytes(self) -> int:
        """Memory of the arrays."""
        names = self.names.memory_bytes + self.defined.memory_bytes + self.known.nbytes
        return self.corpus.memory_bytes + names

    def find_defining(self, name: str, part: MemoryPart) -> list[str]:
        """Return the paths of the files of a part that seem to define a name."""
        return [path for path in self.definitions.find(name) if spelled(path) not in part.excluded]


_NOTHING = _Sorted.of(())


class WorkspaceCorpora:
    """Holds the files of the index and what is built of them. Lives on one asyncio loop.

    Args:
        on_built: called when something was built.
        clock: returns the time in seconds.
        sleep: waits for some seconds.
    """

    def __init__(
        self,
        on_built: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._on_built = on_built
        self._clock = clock
        self._sleep = sleep
        self._next_build = 0.0
        self._pending: dict[str, IndexedFile | None] = {}
        """Files that came since the last build began; None for those that are gone."""
        self._epoch = 0
        self._task: asyncio.Task[None] | None = None
        self._dirty = self._sorting = False
        self._large = self._small = _NOTHING
        self._large_part = self._small_part = MemoryPart(_NOTHING.corpus)
        self._parts: tuple[MemoryPart, ...] = ()
        self.names = KnownNames()

    @property
    def parts(self) -> tuple[MemoryPart, ...]:
        """The corpora that are ready for the memory, the files that changed last first."""
        return self._parts

    @property
    def building(self) -> bool:
        """True while something is to be built."""
        return self._dirty or self._sorting

    @property
    def memory_bytes(self) -> int:
        """Memory of the arrays."""
        waiting = (file for file in self._pending.values() if file is not None)
        return (
            self._large.memory_bytes
            + self._small.memory_bytes
            + sum(file.tokens.nbytes + file.names.nbytes + file.defined.nbytes for file in waiting)
        )

    def definitions(self, name: str) -> list[str]:
        """Return the paths of files that seem to define a name."""
        small = self._small.find_defining(name, self._small_part)
        return list(dict.fromkeys((*small, *self._large.find_defining(name, self._large_part))))

    def take(self, files: Sequence[IndexedFile], gone: Sequence[str]) -> None:
        """Take over what changed, and begin to build. What was is not used from now on."""
        came = {**dict.fromkeys(gone), **{file.path: file for file in files}}
        if not came:
            return
        self._pending.update(came)
        self._large_part = _without(self._large_part, came)
        self._small_part = _without(self._small_part, came)
        self._choose_parts()
        is_building, self._dirty = self.building, True
        if not is_building:
            self._task = asyncio.get_running_loop().create_task(self._build())

    def clear(self) -> None:
        """Forget everything: another model has another vocabulary."""
        self._pending = {}
        self._epoch += 1
        self._large = self._small = _NOTHING
        self._large_part = self._small_part = MemoryPart(_NOTHING.corpus)
        self._choose_parts()
        self._on_built()

    async def close(self) -> None:
        """End the building."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _choose_parts(self) -> None:
        self._parts = tuple(part for part in (self._small_part, self._large_part) if part.corpus.paths)
        self.names = KnownNames((self._small.known, self._large.known))

    async def _build(self) -> None:
        while self._dirty:
            if (rest_s := self._next_build - self._clock()) > 0:
                await self._sleep(rest_s)
            self._dirty, self._sorting = False, True
            began = self._clock()
            pending, self._pending = self._pending, {}
            former: list[object] = [self._large, self._large_part, self._small, self._small_part]
            try:
                await self._join(pending)
                # To free them takes milliseconds: thousands of objects, and tens of megabytes.
                await asyncio.to_thread(_empty, pending, former)
            except Exception:
                logger.exception("The workspace's files could not be sorted")
                self._pending = {**pending, **self._pending}
                return
            finally:
                self._sorting = False
                now = self._clock()
                self._next_build = now + min(_LONGEST_REST_S, _REST * (now - began))
            self._on_built()

    async def _join(self, pending: Mapping[str, IndexedFile | None]) -> None:
        """Build the small corpus again with the files that came, or join both to a large one."""
        epoch = self._epoch
        built = await asyncio.to_thread(
            _join_files, (self._large, self._large_part), (self._small, self._small_part), pending
        )
        part = MemoryPart(built.files.corpus)
        left_out = 0
        # Thousands may have come meanwhile. The former corpora vote until all of them are left out.
        while self._epoch == epoch and left_out < len(self._pending):
            if left_out:
                await asyncio.sleep(0)
            step = tuple(islice(self._pending, left_out, left_out + MOST_AT_ONCE))
            part, left_out = _without(part, step), left_out + len(step)
        if self._epoch != epoch:
            return
        if built.is_large:
            self._large, self._large_part = built.files, part
            self._small, self._small_part = _NOTHING, MemoryPart(_NOTHING.corpus)
        else:
            self._small, self._small_part = built.files, part
        self._choose_parts()


def _without(part: MemoryPart, paths: Iterable[str]) -> MemoryPart:
    """Return a part without files, by their paths as the system writes them; the same if it holds none."""
    names = map(spelled, paths)
    held = [path for path in names if part.corpus.holds(path) and path not in part.excluded]
    return part.without(held) if held else part


@frozen(eq=False)
class _Joined:
    """Sorted files: those of the small part and what came, or all of them."""

    files: _Sorted
    is_large: bool


def _join_files(
    large: tuple[_Sorted, MemoryPart],
    small: tuple[_Sorted, MemoryPart],
    pending: Mapping[str, IndexedFile | None],
) -> _Joined:
    """Sort what is left of the small part, or of both, and the files that came; in a thread."""
    files = [file for file in pending.values() if file is not None]
    changed = small[1].room + sum(file.room for file in files)
    most = max(_SMALL_TOKENS, int(large[0].corpus.token_count * _LARGE_PART))
    is_large = changed > most or len(large[1].excluded) > _MANY_FILES
    is_large &= large[1].room + changed + LONGEST_MATCH < MOST_TOKENS
    came = _Sorted.of(files)
    parts = [large, small] if is_large else [small]
    return _Joined(_Sorted.join([*parts, (came, MemoryPart(came.corpus))]), is_large)


def _empty(pending: dict[str, IndexedFile | None], former: list[object]) -> None:
    """Drop the last references to what was replaced; in a thread."""
    pending.clear()
    former.clear()
