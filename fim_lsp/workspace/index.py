"""The index of the workspace as a session uses it: tell it what happens, ask it for what is ready."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from attrs import frozen

from fim_lsp.engine.memory import MemoryPart
from fim_lsp.files import real_path
from fim_lsp.prompt.snippets import OtherDocument
from fim_lsp.settings import Settings
from fim_lsp.types import CompletionRequest, DocumentSnapshot, path_of
from fim_lsp.workspace.child import IndexingChild
from fim_lsp.workspace.corpora import WorkspaceCorpora
from fim_lsp.workspace.file_text import spelled
from fim_lsp.workspace.frames import IndexCounts, Report
from fim_lsp.workspace.names import KnownNames
from fim_lsp.workspace.related import RelatedFiles, find_related

logger = logging.getLogger(__name__)

_IMPORT_CHARS = 20_000
"""Characters of an opened document that are looked at for imports."""
_URIS_AT_ONCE = 1000
"""Changed files in one message, which takes 0.2 ms to write: a branch switch changes thousands."""
_TELL_S = 1.0
"""Seconds between two changes of the status while files are indexed."""
_LOOK_AGAIN_S = 120.0
"""Seconds between two looks at all folders, where the client tells of no changes."""


@frozen
class IndexStatus:
    """The state of the index, for people and clients."""

    files: int = 0
    tokens: int = 0
    seconds: float = 0.0
    """Time that it took to index everything, or what changed last."""
    updated: float = 0.0
    """When the index was last up to date, in seconds since the epoch; 0 if it never was."""
    ready: bool = False
    """True if nothing is left to index."""


@frozen
class IndexSettings:
    """The settings that the process that indexes is started with."""

    folders: tuple[str, ...] = ()
    disabled_files: tuple[str, ...] = ()
    disabled_languages: tuple[str, ...] = ()
    max_tokens: int = 0
    disk_mb: int = 0

    @classmethod
    def of(cls, settings: Settings, folders: Sequence[PurePath]) -> IndexSettings:
        """Take what matters out of the settings."""
        memory = settings.memory
        paths = tuple(str(folder) for folder in folders)
        completion = settings.completion
        disabled = completion.disabled_files, completion.disabled_languages
        return cls(paths, *disabled, memory.max_tokens, memory.disk_mb)

    def message(self) -> Mapping[str, Any]:
        """Return the message for the process."""
        return {
            "kind": "start",
            "folders": self.folders,
            "disabled_files": self.disabled_files,
            "disabled_languages": self.disabled_languages,
            "max_tokens": self.max_tokens,
            "disk_mb": self.disk_mb,
        }


class WorkspaceIndex:
    """The facts about the workspace's files. It lives on one asyncio loop, and nothing waits for the index.

    Args:
        command: starts the process that indexes; None for no index.
        folders: returns the workspace's folders, as they are now.
        on_changed: called when the status changed.
        on_remark: called with what the user should know, once each.
        on_withdrawn: called with the paths, as prompts show them, of files that left the index; some of them
            were deleted, are ignored or hold a secret by now.
    """

    def __init__(
        self,
        command: Sequence[str] | None = None,
        folders: Callable[[], Sequence[PurePath]] = tuple,
        on_changed: Callable[[], None] = lambda: None,
        on_remark: Callable[[str], None] = logger.info,
        on_withdrawn: Callable[[Sequence[str]], None] = lambda paths: None,
    ) -> None:
        self._folders = folders
        self._on_changed = on_changed
        self._on_remark = on_remark
        self._on_withdrawn = on_withdrawn
        self._settings = IndexSettings()
        self._real_folders: Sequence[str] = ()
        self._enabled = False
        self._vocabulary: str | None = None
        self._opened: dict[str, Mapping[str, Any]] = {}
        self._corpora = WorkspaceCorpora(self._built)
        self._told_at = 0.0
        self._related = RelatedFiles(self._ask)
        self._looking: asyncio.Task[None] | None = None
        self._counts = IndexCounts()
        self._updated = 0.0
        self._looked_at = time.monotonic()
        self._questions = 0
        self.is_watched = False
        """True if the client tells of changes on the disk."""
        self._child = (
            IndexingChild(command, self._take, self._first_messages, self._give_up) if command else None
        )

    # --- What is ready

    def corpora(self, path: str) -> tuple[MemoryPart, ...]:
        """Return what is ready for the memory; see :data:`fim_lsp.engine.memory.CorpusSource`."""
        return self._corpora.parts

    @property
    def names(self) -> KnownNames:
        """The names in the workspace's files, as far as they are known."""
        return self._corpora.names

    def related(self, document: DocumentSnapshot) -> tuple[OtherDocument, ...]:
        """Return files that may help in a document, and that no editor opened, as far as they are ready."""
        return self._related.of(document.uri)

    @property
    def status(self) -> IndexStatus:
        """The state of the index."""
        counts, seconds = self._counts, round(self._counts.seconds, 2)
        ready = counts.done and not self._corpora.building
        return IndexStatus(counts.files, counts.tokens, seconds, self._updated, ready)

    @property
    def counts(self) -> IndexCounts:
        """The index in numbers, as the process last reported them."""
        return self._counts

    @property
    def is_running(self) -> bool:
        """True if there is a workspace to index."""
        return self._enabled and bool(self._settings.folders)

    @property
    def building(self) -> bool:
        """True while files are being sorted."""
        return self._corpora.building

    @property
    def memory_bytes(self) -> int:
        """Memory of the arrays in this process."""
        return self._corpora.memory_bytes

    @property
    def process_id(self) -> int | None:
        """The id of the process that indexes; None while none runs."""
        return self._child.process_id if self._child is not None else None

    # --- What happens

    def settings_changed(self, settings: Settings) -> None:
        """Start, stop or go on by other settings, or with other folders."""
        if self._child is None:
            return
        if not (settings.memory.enabled and settings.memory.workspace):
            self._stop()
            return
        wanted = IndexSettings.of(settings, self._folders())
        if wanted == self._settings and self._enabled:
            return
        if not wanted.folders and not self._enabled:
            logger.info("The workspace is not indexed: the editor named no folder of it.")
        if wanted.folders != self._settings.folders:
            self._real_folders = [os.path.realpath(folder) for folder in wanted.folders]
        self._settings, self._enabled = wanted, True
        self._child.send(wanted.message())
        if wanted.folders:
            self._child.start()

    def model_changed(self, path: Path | None) -> None:
        """Tokenise with the vocabulary of a model's file from now on; None where there is no file."""
        vocabulary = str(path) if path is not None else None
        if vocabulary == self._vocabulary:
            return
        self._vocabulary = vocabulary
        self._corpora.clear()
        self._related.clear()
        self._counts = IndexCounts()
        if vocabulary is not None:
            self._send({"kind": "vocabulary", "path": vocabulary})

    def document_opened(self, document: DocumentSnapshot) -> None:
        """Index what is near a document first."""
        if not self._enabled or not document.uri.startswith("file:"):
            return
        message = {
            "kind": "opened",
            "uri": document.uri,
            "language": document.language_id,
            "text": document.text[:_IMPORT_CHARS],
        }
        self._opened.pop(document.uri, None)
        self._opened[document.uri] = message
        self._send(message)
        self._look_again_if_due()

    def document_closed(self, uri: str) -> None:
        """Note that a document was closed."""
        self._opened.pop(uri, None)

    def files_changed(self, uris: Sequence[str]) -> None:
        """Note that files or folders were written, made, renamed or deleted."""
        starts = range(0, len(uris), _URIS_AT_ONCE)
        self._send(*({"kind": "changed", "uris": uris[start : start + _URIS_AT_ONCE]} for start in starts))

    def document_saved(self, uri: str) -> None:
        """Note that a document was written to the disk."""
        self.files_changed([uri])
        self._look_again_if_due()

    def look_around(self, request: CompletionRequest, encode: Callable[[str], Sequence[int]]) -> None:
        """Look for files that may help at a cursor; :meth:`related` returns them once they are there."""
        if self._counts.files and (self._looking is None or self._looking.done()):
            self._looking = asyncio.get_running_loop().create_task(self._look_around(request, encode))

    async def close(self) -> None:
        """End the process and everything else."""
        for task in (self._looking,):
            if task is not None:
                task.cancel()
        await self._corpora.close()
        if self._child is not None:
            await self._child.close()

    # --- The process

    def _first_messages(self) -> Sequence[Mapping[str, Any]]:
        self._corpora.clear()
        self._related.clear()
        self._counts = IndexCounts()
        self._on_changed()
        vocabulary = {"kind": "vocabulary", "path": self._vocabulary}
        start = [self._settings.message(), *self._opened.values()]
        return [*start, vocabulary] if self._vocabulary else start

    def _send(self, *messages: Mapping[str, Any]) -> None:
        if self._child is not None and self._enabled:
            self._child.send(*messages)

    def _take(self, report: Report) -> None:
        self._corpora.take(report.files, report.gone)
        self._related.forget([*report.gone, *(file.path for file in report.files)])
        if report.withdrawn and report.gone:
            self._on_withdrawn([self._shown_path(path) for path in report.gone])
        was_done, self._counts = self._counts.done, report.counts
        if report.counts.done and not was_done:
            self._updated = time.time()
            counts = report.counts
            logger.info(
                "Indexed %d files, %d tokens in %.1f s; left out by their content: %s",
                *(counts.files, counts.tokens, counts.seconds),
                ", ".join(f"{count} {reason}" for reason, count in sorted(counts.left_out.items())) or "none",
            )
        for remark in report.remarks:
            self._on_remark(remark)
        if report.answer is not None:
            self._related.take(report.answer["documents"], self._shown_path)
        if report.counts.done != was_done or time.monotonic() - self._told_at > _TELL_S:
            self._told_at = time.monotonic()
            self._on_changed()

    def _built(self) -> None:
        if self._counts.done:
            self._updated = time.time()
            self._on_changed()

    def _give_up(self, reason: str) -> None:
        self._corpora.clear()
        self._on_remark(reason)

    def _stop(self) -> None:
        if self._enabled:
            self._enabled = False
            self._settings = IndexSettings()
            self._corpora.clear()
            self._related.clear()
            self._counts = IndexCounts()
            if self._child is not None:
                self._child.send(self._settings.message())
                self._child.send({"kind": "forget"})

    def _look_again_if_due(self) -> None:
        if not self.is_watched and time.monotonic() - self._looked_at > _LOOK_AGAIN_S:
            self._looked_at = time.monotonic()
            self._send({"kind": "look_again"})

    # --- Files for snippets

    async def _look_around(self, request: CompletionRequest, encode: Callable[[str], Sequence[int]]) -> None:
        try:
            parts, definitions = self._corpora.parts, self._corpora.definitions
            found = await asyncio.to_thread(find_related, request, definitions, parts, encode)
            uris = (*self._opened, request.document.uri)
            # It asks the disk for each path.
            opened = await asyncio.to_thread(lambda: {real_path(path_of(uri)) for uri in uris})
        except Exception:
            # The vocabulary may be freed meanwhile; another look follows a later pause.
            logger.debug("No files were looked for", exc_info=True)
            return
        self._related.choose(request.document.uri, [path for path in found if spelled(path) not in opened])

    def _ask(self, paths: Sequence[str]) -> None:
        self._questions += 1
        self._send({"kind": "chunks", "number": self._questions, "paths": list(paths)})

    def _shown_path(self, path: str) -> str:
        """Return a file's path in the workspace, as a prompt shows it."""
        holding = [folder for folder in self._real_folders if path.startswith(folder + os.sep)]
        folder = max(holding, key=len, default=os.path.dirname(path))
        return PurePath(os.path.relpath(path, folder)).as_posix()
