"""Measure fim-lsp as an editor uses it: the real server process over stdio."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import define, field
from lsprotocol import types

from benchmarks.keystrokes.peers import PeerAnswer, Workload
from benchmarks.keystrokes.processes import ProcessTree, children
from benchmarks.keystrokes.sources import TypedFile
from fim_lsp.commands.language_server import command_line
from fim_lsp.lsp.client import HeadlessEditor, OpenFile, start_editor

_FOLDER = Path("/keystrokes")
"""Not on the disk: the server knows only the text that the editor sends."""
_RESTED_MS = 150.0
"""Milliseconds after which the plugins tell that the cursor rests."""


@define
class LanguageServer:
    """A :class:`~benchmarks.keystrokes.peers.Peer`; made by :func:`open_language_server`."""

    processes: ProcessTree
    _editor: HeadlessEditor
    _notices: bool = True
    _files: list[OpenFile] = field(factory=list)
    _current: int = 0
    _last: types.InlineCompletionItem | None = None
    _rounds: Iterator[int] = field(factory=itertools.count)

    def open(self, files: Sequence[TypedFile]) -> None:
        """Close the open files and open these."""
        for open_file in self._files:
            self._editor.close(open_file)
        # Other names in each round, so that no cached suggestion of a former round fits.
        folder = _FOLDER / str(next(self._rounds))
        self._files = [self._editor.open(folder / file.name, "python", file.text) for file in files]

    def move(self, file: int, text: str, cursor: int) -> None:
        """Send the difference as one incremental change."""
        self._current = file
        self._editor.rewrite(self._files[file], text, cursor)

    async def suggest(self) -> PeerAnswer:
        """Send the request of an editor while the user types; a cancel is sent as ``$/cancelRequest``."""
        file = self._files[self._current]
        asked = time.perf_counter()
        request = self._editor.request(file)
        try:
            # Shielded, because pygls warns of an answer to a request that it does not know any more.
            answer = await asyncio.shield(request.answer)
        except asyncio.CancelledError:
            self._editor.cancel(request)
            request.answer.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise
        shown_ms = (time.perf_counter() - asked) * 1000
        self._last = answer.items[0] if answer and answer.items else None
        explanation = await self._editor.explain()
        timings: Mapping[str, Any] = explanation["timings"]
        # The part of the wait that was not decoding: transport, debounce, queue and prefill. A generation
        # that the request joined may have begun before it.
        ttft_ms = max(0.0, shown_ms - timings["decodeMs"])
        return PeerAnswer(
            self._editor.ghost_text(file, self._last) if self._last is not None else "",
            ttft_ms,
            shown_ms,
            timings["evaluatedTokens"],
            remembered=explanation["source"] == "cache",
            delay_ms=explanation["delayMs"],
        )

    async def idle(self, ms: float) -> int:
        """Wait; the server's own work meanwhile shows in the next answer and in its CPU time."""
        await asyncio.sleep(ms / 1000)
        return 0

    async def look(self, ms: float) -> None:
        """Tell the server, as the plugins do, once the cursor has rested; then wait on."""
        rested_ms = min(ms, _RESTED_MS)
        await asyncio.sleep(rested_ms / 1000)
        if self._notices:
            self._editor.rest(self._files[self._current])
        await asyncio.sleep((ms - rested_ms) / 1000)

    def accepted(self) -> None:
        """Run the item's command, as editors do after they insert it."""
        command = self._last.command if self._last else None
        if command is not None:
            params = types.ExecuteCommandParams(command.command, command.arguments)
            self._editor.client.workspace_execute_command(params)


@asynccontextmanager
async def open_language_server(workload: Workload) -> AsyncIterator[LanguageServer]:
    """Start the server with its default settings, except for the workload that all peers share."""
    options = {
        "model": {
            "name": workload.model,
            "threads": workload.threads,
            "contextTokens": workload.context_tokens,
            "kvStateMb": 0,
        },
        "prompt": {
            "maxTokens": workload.prompt_tokens,
            "layout": workload.layout,
            "coldMs": workload.cold_ms,
        },
        "sampling": {"maxTokens": workload.predict},
        "feedback": {"enabled": False},
    }
    before = children()
    async with start_editor(command_line([]), options=options) as editor:
        (server,) = children() - before
        await editor.ready()
        yield LanguageServer(ProcessTree(server), editor, workload.notices)
