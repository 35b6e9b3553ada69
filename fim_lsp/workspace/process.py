"""The loop of the process that indexes: messages in on stdin, reports out on stdout, work between them.

Messages, each a frame with a ``kind``: ``start`` (folders and settings), ``vocabulary`` (a model's file),
``opened`` (a document), ``changed`` (URIs), ``look_again``, ``forget`` (the server forgot all files),
``chunks`` (a question for the chunks of files).
The end of stdin ends the process, after the index is saved.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, BinaryIO

from attrs import field, frozen

from fim_lsp.code.languages import language_of
from fim_lsp.code.outline import outline
from fim_lsp.completion.enabled import matches_any
from fim_lsp.engine.memory import ChunkEncoder
from fim_lsp.prompt.snippets import cut
from fim_lsp.types import path_of
from fim_lsp.workspace.file_text import FileReading, read_file
from fim_lsp.workspace.frames import IndexCounts, Report, read_frame
from fim_lsp.workspace.git_history import recently_changed
from fim_lsp.workspace.index_file import IndexFiles
from fim_lsp.workspace.indexed_file import IndexedFile
from fim_lsp.workspace.indexer import Changes, Index, Indexer, IndexPlan
from fim_lsp.workspace.nearness import OpenPlace
from fim_lsp.workspace.walk import IsDisabled
from fim_lsp.workspace.words import defined_in, hash_names, names_in

logger = logging.getLogger(__name__)

_FLUSH_S = 0.1
"""Seconds after which files are sent, many at once: a message costs the server more than a file in it."""
_URGENT_S = 0.5
"""Seconds after which files in the folder of an open one are sent, if it has more of them."""
_MOST_IN_REPORT = 50
_SAVE_EVERY_S = 120.0
"""Seconds between two saves while files change."""
_SETTLE_S = 0.05
"""Seconds without a message after which changes are looked at: a branch switch sends many messages."""

Message = Mapping[str, Any]


@frozen
class LoadedVocabulary:
    """A vocabulary, without the weights of its model."""

    identity: str
    """Differs wherever the tokens of a text may."""
    encode: Callable[[str], Sequence[int]] = field(repr=False)


OpenVocabulary = Callable[[str], LoadedVocabulary]
"""Opens the vocabulary of a model's file."""


class IndexingProcess:
    """The work between two processes, without the processes themselves.

    Args:
        open_vocabulary: opens the vocabulary of a model's file.
        send: sends a report to the server.
        storage: the folder of saved indexes.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        open_vocabulary: OpenVocabulary,
        send: Callable[[Report], None],
        storage: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._open_vocabulary = open_vocabulary
        self._send = send
        self._storage = storage
        self._indexer = Indexer(recent=recently_changed)
        self._folders: tuple[str, ...] = ()
        self._is_disabled: IsDisabled = lambda path: False
        self._disabled: tuple[tuple[str, ...], frozenset[str]] | None = None
        self._disk_bytes = 0
        self._index: Index | None = None
        self._index_files: IndexFiles | None = None
        self._from_disk = 0
        self._files, self._tokens = 0, 0
        self._sizes: dict[str, int] = {}
        self._waiting = Changes()
        self._sent_at = self._began_at = self._clock()
        self._saved_at = 0.0
        self._unsaved = self._withdrawn = False
        self._announced = True

    @property
    def is_settled(self) -> bool:
        """True once the folders of open files are read, and from then on only the rest is left."""
        return self._index_files is not None and not self._indexer.urgent

    @property
    def idle(self) -> bool:
        """True if there is nothing to do until a message comes."""
        return self._indexer.finished and self._announced

    def handle(self, message: Message) -> None:
        """Take one message."""
        kind = message["kind"]
        if kind == "chunks":
            self._answer_chunks(message)
            return
        if self.idle:
            self._began_at = self._clock()
        if kind == "start":
            self._start(message)
        elif kind == "vocabulary":
            self._take_vocabulary(message["path"])
        elif kind == "opened":
            self._opened(message)
        elif kind == "changed":
            self._indexer.changed(_paths_of(message["uris"]))
        elif kind == "forget":
            self._indexer.take_vocabulary(self._index)
        elif kind == "look_again":
            self._indexer.look_again()
        self._announced = False
        self._sent_at = self._clock()

    def work(self) -> None:
        """Do a little, and send what is ready."""
        was_urgent = self._indexer.urgent
        self._indexer.step()
        self._collect(self._indexer.take_changes())
        urgent_done = was_urgent and not self._indexer.urgent
        waiting = len(self._waiting.files) + len(self._waiting.gone)
        late = self._clock() - self._sent_at > (_URGENT_S if self._indexer.urgent else _FLUSH_S)
        if urgent_done or waiting >= _MOST_IN_REPORT or (waiting and late) or self._waiting.remarks:
            self._flush(urgent=urgent_done)
        if self._indexer.finished and not self._announced:
            if self._waiting.files or self._waiting.gone:
                self._flush()
            # Before the server knows that all is done: it may end the session at once.
            self.save()
            self._announced = True
            self._flush()
        elif self.idle:
            self.save()

    def save(self, *, now: bool = False) -> None:
        """Save the index if it changed, but not too often; at once if a file must not stay on the disk."""
        recently = self._saved_at and self._clock() - self._saved_at < _SAVE_EVERY_S
        wait = recently and not now and not self._withdrawn
        if not self._unsaved or self._index_files is None or not self._disk_bytes or wait:
            return
        withdrawn = self._withdrawn
        self._saved_at, self._unsaved, self._withdrawn = self._clock(), False, False
        kept = self._indexer.kept()
        try:
            for folder in self._folders:
                below = [file for file in kept if file.path.startswith(folder + os.sep)]
                self._index_files.save(folder, below)
                if withdrawn:
                    self._index_files.delete_others(folder)
        except OSError as error:
            self._send(
                Report(remarks=[f"The index can't be saved: {error.strerror}."], counts=self._counts())
            )
            self._disk_bytes = 0

    def _start(self, message: Message) -> None:
        rules = tuple(message["disabled_files"]), frozenset(message["disabled_languages"])
        if rules != self._disabled:
            self._disabled = rules
            self._is_disabled = _make_is_disabled(*rules)
        self._disk_bytes = int(message["disk_mb"]) * 1_000_000
        folders = tuple(os.path.realpath(path) for path in message["folders"])
        added = [folder for folder in folders if folder not in self._folders]
        self._folders = folders
        self._indexer.start(IndexPlan(folders, int(message["max_tokens"]), self._is_disabled))
        self._remember(added)

    def _take_vocabulary(self, path: str) -> None:
        try:
            vocabulary = self._open_vocabulary(path)
        except Exception as error:
            self._send(Report(remarks=[f"The workspace is not indexed: {error}"], counts=self._counts()))
            self._index = None
            self._indexer.take_vocabulary(None)
            return
        self._index_files = IndexFiles(self._storage, vocabulary.identity, self._disk_bytes)
        self._index = _make_index(vocabulary)
        self._indexer.take_vocabulary(self._index)
        self._remember(self._folders)

    def _remember(self, folders: Sequence[str]) -> None:
        if self._index_files is None:
            return
        self._index_files = IndexFiles(self._storage, self._index_files.vocabulary, self._disk_bytes)
        for folder in folders:
            saved = self._index_files.load(folder)
            self._from_disk += sum(not file.problem for file in saved)
            self._indexer.remember(saved)
            # Some of them may be gone or ignored by now.
            self._unsaved |= bool(saved)

    def _opened(self, message: Message) -> None:
        (path,) = _paths_of([message["uri"]]) or ("",)
        imported = outline(message["language"], message["text"]).imported
        if path:
            self._indexer.opened(OpenPlace(path, message["language"], imported))

    def _answer_chunks(self, message: Message) -> None:
        """Answer with the chunks of files that are in the index; they are screened again, as they are now."""
        found = []
        for path in message["paths"]:
            reading = read_file(path) if path in self._sizes else FileReading(problem="not in the index")
            if not reading.problem:
                definitions = outline(reading.language, reading.text).definitions
                chunks = [
                    [chunk.text, *chunk.lines, chunk.defines, dict(chunk.words)]
                    for chunk in cut(reading.text, definitions)
                ]
                found.append({"path": path, "text": reading.text, "chunks": chunks})
        answer = {"number": message["number"], "documents": found}
        self._send(Report(counts=self._counts(), answer=answer))

    def _collect(self, changes: Changes) -> None:
        for file in changes.files:
            self._tokens += len(file.tokens) - self._sizes.get(file.path, 0)
            self._sizes[file.path] = len(file.tokens)
        for path in changes.gone:
            self._tokens -= self._sizes.pop(path, 0)
        self._unsaved |= bool(changes.files or changes.gone)
        self._withdrawn |= changes.withdrawn
        self._waiting.withdrawn |= changes.withdrawn
        if changes.gone:
            # A file that is sent again later must come after this.
            gone = set(changes.gone)
            self._waiting.files = [file for file in self._waiting.files if file.path not in gone]
        returned = {file.path for file in changes.files}
        self._waiting.gone = [path for path in self._waiting.gone if path not in returned]
        self._waiting.files += changes.files
        self._waiting.gone += [path for path in changes.gone if path not in returned]
        self._waiting.remarks += changes.remarks

    def _flush(self, *, urgent: bool = False) -> None:
        waiting, self._waiting = self._waiting, Changes()
        self._sent_at = self._clock()
        counts = self._counts()
        # No path is among both.
        most = max(1, len(waiting.files), len(waiting.gone))
        for start in range(0, most, _MOST_IN_REPORT):
            end = start + _MOST_IN_REPORT
            files, gone = waiting.files[start:end], waiting.gone[start:end]
            remarks = waiting.remarks if end >= most else []
            is_urgent = urgent and end >= most
            self._send(Report(files, gone, remarks, counts, withdrawn=waiting.withdrawn, urgent=is_urgent))

    def _counts(self) -> IndexCounts:
        return IndexCounts(
            len(self._sizes),
            self._tokens,
            self._indexer.listed_files,
            self._indexer.problems(),
            self._clock() - self._began_at,
            self._from_disk,
            self._announced and self._indexer.finished and self._index is not None,
        )


def serve(
    stdin: BinaryIO,
    stdout: BinaryIO,
    open_vocabulary: OpenVocabulary,
    storage: Path,
    on_settled: Callable[[], None] = lambda: None,
) -> None:
    """Index until stdin ends.

    Args:
        stdin: messages come from there.
        stdout: reports go there.
        open_vocabulary: opens the vocabulary of a model's file.
        storage: the folder of saved indexes.
        on_settled: called once, when the nearest files are read.
    """
    messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()

    def receive() -> None:
        while (message := read_frame(stdin)) is not None:
            messages.put(message)
        messages.put(None)

    def send(report: Report) -> None:
        stdout.write(report.encode())
        stdout.flush()

    threading.Thread(target=receive, daemon=True).start()
    process, settled = IndexingProcess(open_vocabulary, send, storage), False
    try:
        while True:
            for message in _due(messages, wait=process.idle):
                if message is None:
                    return
                process.handle(message)
            process.work()
            if not settled and process.is_settled:
                settled = True
                on_settled()
    except BrokenPipeError:
        logger.debug("The server is gone")
    finally:
        process.save(now=True)


def _due(messages: queue.SimpleQueue[Message | None], *, wait: bool) -> list[Message | None]:
    """Return the messages that have come; wait for the first if there is no work."""
    found: list[Message | None] = []
    try:
        if wait:
            found.append(messages.get(timeout=_SAVE_EVERY_S))
            while True:
                found.append(messages.get(timeout=_SETTLE_S))
        while True:
            found.append(messages.get_nowait())
    except queue.Empty:
        return found


def _make_is_disabled(patterns: tuple[str, ...], languages: frozenset[str]) -> IsDisabled:
    def is_disabled(path: str) -> bool:
        if matches_any(PurePath(path), patterns):
            return True
        # A header's language is known only by its text.
        found = {"c", "cpp"} if path.endswith(".h") else {getattr(language_of(path), "id", "")}
        return not found.isdisjoint(languages)

    return is_disabled


def _make_index(vocabulary: LoadedVocabulary) -> Index:
    chunks = ChunkEncoder(vocabulary.encode)

    def index(path: str, reading: FileReading) -> IndexedFile:
        return IndexedFile(
            path,
            reading.language,
            reading.stamp,
            chunks.encode(reading.text),
            hash_names(names_in(reading.text)),
            hash_names(defined_in(reading.text)),
        )

    return index


def _paths_of(uris: Sequence[str]) -> list[str]:
    """Return the paths of ``file`` URIs: folders without links, and the name as it is."""
    paths = []
    real: dict[str, str] = {}
    for uri in uris:
        if uri.startswith("file:"):
            path = str(path_of(uri))
            if os.name == "nt":
                path = path.lstrip("/\\")
            folder, name = os.path.split(path)
            if folder not in real:
                real[folder] = os.path.realpath(folder)
            paths.append(os.path.join(real[folder], name))
    return paths
