"""What is on the screen at a cursor, for each kind of arm."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from attrs import define, field, frozen
from lsprotocol import types

from benchmarks.keystrokes.llama_vim import shown_text
from benchmarks.keystrokes.peers import Peer
from benchmarks.keystrokes.sources import TypedFile
from benchmarks.quality.arms import ArmError, QualityArm
from benchmarks.quality.holes import QualityHole
from benchmarks.quality.typist import Pace, ShownText
from fim_lsp.lsp.client import HeadlessEditor, OpenFile, start_editor
from fim_lsp.lsp.documents import offset_at

_INDEX_S = 120.0
"""Longest wait for the index of the workspace."""


@frozen
class Looked:
    """The shown text, and the time that it took."""

    shown: ShownText
    waited_ms: float


class SuggestionScreen(Protocol):
    """A place where suggestions appear."""

    async def open(self, hole: QualityHole, arm: QualityArm) -> None:
        """Show a file with a hole, with the cursor in it, under the settings of an arm."""

    async def look(self, written: str) -> Looked:
        """Return what is shown once ``written`` stands in the hole in front of the cursor."""

    async def close(self) -> None:
        """Close the file."""


@define
class ServerScreen:
    """A headless editor with the real server, and a copy of the repository as its workspace."""

    editor: HeadlessEditor
    root: Path
    """The copy. The open file lacks the hole's text there, too."""
    pace: Pace | None = None
    """Of the keys; None to wait for each answer before the next key."""
    _hole: QualityHole | None = field(default=None, init=False)
    """The hole that is cut on the disk."""
    _file: OpenFile | None = field(default=None, init=False)
    _arm: QualityArm | None = field(default=None, init=False)

    async def open(self, hole: QualityHole, arm: QualityArm) -> None:
        """Cut the hole into the file on the disk, take the arm's settings, then open the file.

        Raises:
            ArmError: the server does not know a setting of the arm.
        """
        self._cut(hole)
        if arm != self._arm:
            self.editor.configure(arm.settings)
            self._arm = arm
            # The answer to a command comes behind the messages about bad settings.
            await self.editor.explain()
            if self.editor.messages:
                raise ArmError(f"The server refuses the arm {arm.name}: {self.editor.messages[-1]}")
        # The last character is typed, so that the first request comes behind a keystroke.
        typed = hole.prefix[-1:]
        before = hole.prefix[: len(hole.prefix) - len(typed)]
        path = self.root / hole.path
        self._file = self.editor.open(path, hole.language, before + hole.suffix, len(before))
        if self.pace is not None:
            self.editor.rest(self._file)
            await asyncio.sleep(self.pace.before)
        self.editor.insert(self._file, typed)

    async def look(self, written: str) -> Looked:
        """Type what is missing of ``written``, and request a suggestion as it is done while typing.

        At a pace, it lasts until the next key, and a suggestion that comes later is never seen.
        """
        assert self._hole is not None
        assert self._file is not None
        file = self._file
        length = len(file.text) - len(self._hole.prefix) - len(self._hole.suffix)
        if missing := written[length:]:
            self.editor.insert(file, missing)
        began = time.perf_counter()
        answer = await self._answer(file)
        waited_ms = (time.perf_counter() - began) * 1000
        if self.pace is not None:
            await asyncio.sleep(max(0.0, began + self.pace.key - time.perf_counter()))
        if not answer or not answer.items:
            return Looked(ShownText(""), waited_ms)
        item: types.InlineCompletionItem = answer.items[0]
        end = offset_at(file.text, item.range.end, self.editor.encoding) if item.range else file.cursor
        return Looked(ShownText(self.editor.ghost_text(file, item), end - file.cursor), waited_ms)

    async def _answer(self, file: OpenFile) -> types.InlineCompletionList | None:
        """Request a suggestion, and cancel the request if the next key comes before its answer."""
        sent = self.editor.request(file)
        await asyncio.wait((sent.answer,), timeout=self.pace.key if self.pace is not None else None)
        if sent.answer.done():
            answer: types.InlineCompletionList | None = sent.answer.result()
            return answer
        self.editor.cancel(sent)
        sent.answer.add_done_callback(asyncio.Future.exception)
        return None

    async def close(self) -> None:
        """Close the file. It lacks the hole's text on the disk until another hole is opened."""
        assert self._file is not None
        self.editor.close(self._file)
        self._file = None

    def _cut(self, hole: QualityHole) -> None:
        """Restore the file of the hole before this one, and cut this one."""
        if hole == self._hole:
            return
        if self._hole is not None:
            former = self._hole
            self._write(self.root / former.path, former.prefix + former.middle + former.suffix)
        self._write(self.root / hole.path, hole.prefix + hole.suffix)
        self._hole = hole

    def _write(self, path: Path, text: str) -> None:
        path.write_text(text, encoding="utf-8", newline="")
        change = types.FileEvent(path.as_uri(), types.FileChangeType.Changed)
        self.editor.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([change]))


@define
class LlamaVimScreen:
    """llama-server behind llama.vim's logic."""

    peer: Peer
    _hole: QualityHole | None = field(default=None, init=False)

    async def open(self, hole: QualityHole, arm: QualityArm) -> None:
        """Forget what was suggested before."""
        self._hole = hole
        self.peer.open([TypedFile(hole.path, hole.prefix + hole.suffix)])

    async def look(self, written: str) -> Looked:
        """Ask for what llama.vim would show."""
        assert self._hole is not None
        text, cursor = self._hole.prefix + written + self._hole.suffix, len(self._hole.prefix + written)
        self.peer.move(0, text, cursor)
        answer = await self.peer.suggest()
        return Looked(ShownText(shown_text(answer.text, text, cursor)), answer.shown_ms)

    async def close(self) -> None:
        """Do nothing: llama-server keeps no documents."""


@asynccontextmanager
async def server_screen(
    command: Sequence[str], arm: QualityArm, repository: Path, work: Path, pace: Pace | None = None
) -> AsyncIterator[ServerScreen]:
    """Copy a repository, start a server in it, and wait until the model is loaded and the index built.

    Args:
        command: the server's command line.
        arm: has the model and the memory of all arms that will be asked.
        repository: its folder, which stays as it is.
        work: the copy's folder, which is replaced.
        pace: of the keys.
    """
    root = await asyncio.to_thread(_copy, repository, work)
    # The other settings follow with each hole; here they would hold for the arms that do not name them.
    # A version of before the memory refuses the whole table if it is named.
    options = {key: arm.settings[key] for key in ("model", "memory") if key in arm.settings}
    async with start_editor(command, options=options, root=root) as editor:
        await editor.ready()
        await _wait_for_index(editor)
        yield ServerScreen(editor, root, pace)


def _copy(repository: Path, work: Path) -> Path:
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(repository, work, symlinks=True)
    return work.resolve()


async def _wait_for_index(editor: HeadlessEditor) -> None:
    """Wait until the server has indexed the workspace, as its status tells."""
    deadline = time.perf_counter() + _INDEX_S
    while time.perf_counter() < deadline:
        # A named tuple: its attribute ``index`` is a method where the status has no such field.
        index = editor.statuses[-1]._asdict().get("index")
        if index is None or index.ready:
            return
        await asyncio.sleep(0.1)
