"""Sort the files of the index: a large corpus that is seldom built, and a small one of what changed since.

Sorting takes a tenth of a second for a million tokens, in a thread, most of it in numpy. Requests take what
is ready.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from attrs import evolve, frozen

from fim_lsp.engine.memory import MemoryPart, TokenCorpus
from fim_lsp.workspace.file_text import spelled
from fim_lsp.workspace.indexed_file import IndexedFile
from fim_lsp.workspace.names import Definitions, KnownNames, join_names
from fim_lsp.workspace.words import NameHashes

logger = logging.getLogger(__name__)

_LARGE_PART = 0.25
"""Part of the large corpus that may have changed before it is built again."""
_SMALL_TOKENS = 100_000
"""Tokens that may have changed in any case."""
_MANY_FILES = 1000
"""Files of the large corpus that may have changed: each request leaves them out again."""
_ALL = 1 << 30


@frozen(eq=False)
class _Sorted:
    """Files, sorted."""

    corpus: TokenCorpus
    names: NameHashes
    definitions: Definitions

    @classmethod
    def of(cls, files: Sequence[IndexedFile]) -> _Sorted:
        """Sort files; in a thread."""
        corpus = TokenCorpus.build((file.tokenized() for file in files), _ALL)
        return cls(corpus, join_names(files), Definitions.of(files))


class WorkspaceCorpora:
    """Holds the files of the index and what is built of them. Lives on one asyncio loop.

    Args:
        on_built: called when something was built.
    """

    def __init__(self, on_built: Callable[[], None] = lambda: None) -> None:
        self._on_built = on_built
        self._files: dict[str, IndexedFile] = {}
        self._changed: dict[str, IndexedFile | None] = {}
        """Since the large corpus was built; None for files that are gone."""
        self._changed_tokens = 0
        self._touched: set[str] = set()
        """Since the last build began."""
        self._epoch = 0
        self._large = self._small = _Sorted.of(())
        self._task: asyncio.Task[None] | None = None
        self._dirty = self._sorting = False
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
        built = sum(each.corpus.memory_bytes for each in (self._large, self._small))
        waiting = (file for file in self._changed.values() if file is not None)
        words = sum(file.names.nbytes + file.defined.nbytes for file in self._files.values())
        return built + words + sum(file.tokens.nbytes for file in waiting)

    def definitions(self, name: str) -> list[str]:
        """Return the paths of files that seem to define a name."""
        found = (*self._small.definitions.find(name), *self._large.definitions.find(name))
        return [path for path in dict.fromkeys(found) if path in self._files]

    def take(self, files: Sequence[IndexedFile], gone: Sequence[str]) -> None:
        """Take over what changed, and begin to build. What was is not used from now on."""
        for path in gone:
            if self._files.pop(path, None) is not None:
                self._changed[path] = None
        for file in files:
            self._files[file.path] = self._changed[file.path] = file
            self._changed_tokens += len(file.tokens)
        touched = [spelled(path) for path in (*gone, *(file.path for file in files))]
        self._touched.update(touched)
        self._parts = tuple(_without(part, touched) for part in self._parts)
        if touched:
            is_building, self._dirty = self.building, True
            if not is_building:
                self._task = asyncio.get_running_loop().create_task(self._build())

    def clear(self) -> None:
        """Forget everything: another model has another vocabulary."""
        self._files, self._changed, self._changed_tokens = {}, {}, 0
        self._epoch += 1
        self._large = self._small = _Sorted.of(())
        self._publish()

    async def close(self) -> None:
        """End the building."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _build(self) -> None:
        while self._dirty:
            self._dirty, self._sorting = False, True
            large = max(_SMALL_TOKENS, int(self._large.corpus.token_count * _LARGE_PART))
            try:
                many = sum(len(part.excluded) for part in self._parts) > _MANY_FILES
                await (self._build_large() if many or self._changed_tokens > large else self._build_small())
            except Exception:
                logger.exception("The workspace's files could not be sorted")
                self._sorting = False
                return
            self._sorting = False
            self._publish()

    async def _build_large(self) -> None:
        files, epoch = list(self._files.values()), self._epoch
        self._changed, self._changed_tokens, self._touched = {}, 0, set()
        built, thinned = await asyncio.to_thread(_build_thinned, files)
        if self._epoch != epoch:
            return
        for path, file in self._changed.items():
            if file is not None:
                thinned[path] = file
            else:
                thinned.pop(path, None)
        self._files, self._large, self._small = thinned, built, _Sorted.of(())

    async def _build_small(self) -> None:
        files, epoch = [file for file in self._changed.values() if file is not None], self._epoch
        self._touched = set()
        built = await asyncio.to_thread(_Sorted.of, files)
        if self._epoch == epoch:
            self._small = built

    def _publish(self) -> None:
        small = _without(MemoryPart(self._small.corpus), self._touched)
        large = _without(MemoryPart(self._large.corpus), map(spelled, self._changed))
        self._parts = tuple(part for part in (small, large) if part.corpus.files)
        self.names = KnownNames((self._small.names, self._large.names))
        self._on_built()


def _without(part: MemoryPart, paths: Iterable[str]) -> MemoryPart:
    """Return a part without files; the same one if it holds none of them."""
    held = [path for path in paths if part.corpus.find_file(path) is not None and path not in part.excluded]
    return part.without(held) if held else part


def _build_thinned(files: Sequence[IndexedFile]) -> tuple[_Sorted, dict[str, IndexedFile]]:
    """Sort files; return them by path, with views of the corpus as tokens, so that none is held twice."""
    built = _Sorted.of(files)
    thinned = {}
    for file in files:
        place = built.corpus.find_file(spelled(file.path))
        tokens = built.corpus.tokens[place.start : place.end] if place is not None else file.tokens.copy()
        names, defined = file.names.copy(), file.defined.copy()
        thinned[file.path] = evolve(file, tokens=tokens, names=names, defined=defined)
    return built, thinned
