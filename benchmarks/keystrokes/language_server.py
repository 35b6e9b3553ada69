"""fim-lsp as an editor has it: the real server process over stdio."""

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
from fim_lsp.commands.serve import command_line
from fim_lsp.lsp.client import HeadlessEditor, start_editor
from fim_lsp.lsp.documents import offset_at, units

_UTF16 = types.PositionEncodingKind.Utf16
_FOLDER = Path("/keystrokes")
"""Never touched: the server only knows what the editor tells it."""


@define
class _OpenFile:
    """A file as the editor has it."""

    uri: str
    text: str
    cursor: int = 0
    version: int = 1


@define
class LanguageServer:
    """A :class:`~benchmarks.keystrokes.peers.Peer`; made by :func:`open_language_server`."""

    processes: ProcessTree
    _editor: HeadlessEditor
    _files: list[_OpenFile] = field(factory=list)
    _current: int = 0
    _last: types.InlineCompletionItem | None = None
    _ids: Iterator[int] = field(factory=itertools.count)

    def open(self, files: Sequence[TypedFile]) -> None:
        """Close what was open and open these."""
        client = self._editor.client
        for file in self._files:
            identifier = types.TextDocumentIdentifier(file.uri)
            client.text_document_did_close(types.DidCloseTextDocumentParams(identifier))
        # Other names each time, so that no suggestion of a former round can be remembered for them.
        sitting = _FOLDER / str(next(self._ids))
        self._files = [_OpenFile((sitting / file.name).as_uri(), file.text) for file in files]
        for open_file in self._files:
            item = types.TextDocumentItem(open_file.uri, "python", open_file.version, open_file.text)
            client.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def move(self, file: int, text: str, cursor: int) -> None:
        """Send the difference as one incremental change."""
        self._current = file
        current = self._files[file]
        if text != current.text:
            current.version += 1
            identifier = types.VersionedTextDocumentIdentifier(current.version, current.uri)
            params = types.DidChangeTextDocumentParams(identifier, [_change(current.text, text)])
            self._editor.client.text_document_did_change(params)
        current.text, current.cursor = text, cursor

    async def suggest(self) -> PeerAnswer:
        """Ask as an editor does while the user types; a cancel is sent on as ``$/cancelRequest``."""
        file = self._files[self._current]
        position = _position(file.text, file.cursor)
        params = types.InlineCompletionParams(
            types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic),
            types.TextDocumentIdentifier(file.uri),
            position,
        )
        client, msg_id = self._editor.client, f"keystroke-{next(self._ids)}"
        asked = time.perf_counter()
        sent = client.protocol.send_request(types.TEXT_DOCUMENT_INLINE_COMPLETION, params, msg_id=msg_id)
        answering = asyncio.wrap_future(sent)
        try:
            # Shielded: pygls would otherwise warn of an answer to a request it no longer knows.
            answer = await asyncio.shield(answering)
        except asyncio.CancelledError:
            client.cancel_request(types.CancelParams(msg_id))
            answering.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise
        shown_ms = (time.perf_counter() - asked) * 1000
        self._last = answer.items[0] if answer and answer.items else None
        explanation = await self._editor.explain()
        timings: Mapping[str, Any] = explanation["timings"]
        # What of the wait was not decoding: transport, debounce, queue, prefill. A generation that was
        # joined may have begun before the request.
        ttft_ms = max(0.0, shown_ms - timings["decodeMs"])
        return PeerAnswer(
            _ghost(self._last, file),
            ttft_ms,
            shown_ms,
            timings["evaluatedTokens"],
            remembered=explanation["source"] == "cache",
            delay_ms=explanation["delayMs"],
        )

    async def idle(self, ms: float) -> int:
        """Wait; what the server does meanwhile on its own shows in the next answer and in its CPU time."""
        await asyncio.sleep(ms / 1000)
        return 0

    def accepted(self) -> None:
        """Run the item's command, as editors do after they inserted it."""
        command = self._last.command if self._last else None
        if command is not None:
            params = types.ExecuteCommandParams(command.command, command.arguments)
            self._editor.client.workspace_execute_command(params)


@asynccontextmanager
async def open_language_server(workload: Workload) -> AsyncIterator[LanguageServer]:
    """Start the server with its default settings, but for what all peers have in common."""
    options = {
        "model": {
            "name": workload.model,
            "threads": workload.threads,
            "contextTokens": workload.context_tokens,
            "kvStateMb": 0,
        },
        "prompt": {"maxTokens": workload.prompt_tokens, "layout": workload.layout},
        "sampling": {"maxTokens": workload.predict},
        "feedback": {"enabled": False},
    }
    before = children()
    async with start_editor(command_line([]), options=options) as editor:
        (server,) = children() - before
        await editor.ready()
        yield LanguageServer(ProcessTree(server), editor)


def _change(before: str, after: str) -> types.TextDocumentContentChangePartial:
    """The smallest single replacement that leads from one text to the other."""
    shortest = min(len(before), len(after))
    start = next((at for at in range(shortest) if before[at] != after[at]), shortest)
    room = shortest - start
    end = next((at for at in range(room) if before[-1 - at] != after[-1 - at]), room)
    replaced = types.Range(_position(before, start), _position(before, len(before) - end))
    return types.TextDocumentContentChangePartial(replaced, after[start : len(after) - end])


def _position(text: str, offset: int) -> types.Position:
    start = text.rfind("\n", 0, offset) + 1
    return types.Position(text.count("\n", 0, offset), units(text[start:offset], _UTF16))


def _ghost(item: types.InlineCompletionItem | None, file: _OpenFile) -> str:
    """The part of an item that appears behind the cursor."""
    if item is None:
        return ""
    inserted = item.insert_text if isinstance(item.insert_text, str) else item.insert_text.value
    if item.range is None:
        return inserted
    return inserted[file.cursor - offset_at(file.text, item.range.start, _UTF16) :]
