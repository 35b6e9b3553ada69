"""Measure what a key costs the server in large documents, and how fast 51 keys at once are answered.

The model is a scripted one, so that only the server's own work is measured::

    python -m benchmarks.large_files
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Sequence
from typing import Any

from attrs import define, field, frozen

from fim_lsp.engine.scripted import ScriptedEngine
from fim_lsp.lsp.server import Server, create_server

URI = "file:///large.py"
READY = 99
"""Id of the request that ends when the model is loaded."""
_LINE = "    value = compute(first, second)  # a line of code\n"
_SETTINGS = {"feedback": {"enabled": True}, "model": {"kvStateMb": 0}, "completion": {"debounceMaxMs": 0}}


@define
class Answers:
    """Takes what the server writes; keeps the answers by their id."""

    by_id: dict[int, dict[str, Any]] = field(factory=dict)
    sizes: dict[int, int] = field(factory=dict)
    came: asyncio.Event = field(factory=asyncio.Event)

    def write(self, data: bytes) -> None:
        """Take a message with its header."""
        body = data.partition(b"\r\n\r\n")[2]
        message = json.loads(body)
        if "method" not in message and isinstance(message.get("id"), int):
            self.by_id[message["id"]] = message
            self.sizes[message["id"]] = len(body)
        self.came.set()


@frozen
class LargeFileTypist:
    """Sends an in-process server what an editor sends, without a pipe between them."""

    server: Server
    answers: Answers
    line: int
    column: int

    def send(self, method: str, params: Any, msg_id: int | None = None) -> None:
        """Hand the server a message."""
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        self.server.protocol.handle_message(message if msg_id is None else {**message, "id": msg_id})

    def type_key(self, number: int) -> None:
        """Insert the key of that number, counted from 0, and ask for a suggestion behind it."""
        here = {"line": self.line, "character": self.column + number}
        behind = {"line": self.line, "character": self.column + number + 1}
        change = {"range": {"start": here, "end": here}, "text": "q"}
        document = {"uri": URI, "version": number + 2}
        self.send("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})
        params = {"textDocument": {"uri": URI}, "position": behind, "context": {"triggerKind": 2}}
        self.send("textDocument/inlineCompletion", params, 100 + number)

    async def answered(self, number: int) -> dict[str, Any]:
        """Wait for the answer to a key."""
        while 100 + number not in self.answers.by_id:
            self.answers.came.clear()
            await self.answers.came.wait()
        return self.answers.by_id[100 + number]


async def open_document(
    text: str, line: int, column: int, engine: ScriptedEngine | None = None
) -> LargeFileTypist:
    """Start a server and open a document with the cursor at a line and column."""
    model = engine or ScriptedEngine(lambda prompt: "x + 1")
    typist = LargeFileTypist(
        create_server(lambda settings, on_loading: model, _SETTINGS), Answers(), line, column
    )
    typist.server.protocol.set_writer(typist.answers)  # type: ignore[arg-type]
    capabilities: dict[str, Any] = {"textDocument": {"inlineCompletion": {}}}
    typist.send("initialize", {"processId": None, "capabilities": capabilities}, 1)
    typist.send("initialized", {})
    await asyncio.sleep(0)
    typist.send("workspace/executeCommand", {"command": "fimLsp.reload"}, READY)
    await typist.answered(READY - 100)
    document = {"uri": URI, "languageId": "python", "version": 1, "text": text}
    typist.send("textDocument/didOpen", {"textDocument": document})
    return typist


async def _measure(name: str, text: str, line: int, column: int) -> str:
    typist = await open_document(text, line, column)
    costs = []
    for number in range(20):
        began = time.process_time()
        typist.type_key(number)
        await typist.answered(number)
        costs.append((time.process_time() - began) * 1000)
    size = typist.answers.sizes[119]
    began = time.perf_counter()
    for number in range(20, 71):
        typist.type_key(number)
    await typist.answered(70)
    at_once = (time.perf_counter() - began) * 1000
    await typist.server.session.close()
    return f"{name:28} {statistics.median(costs):6.1f} ms a key {at_once:8.0f} ms for 51 keys {size:6,} bytes"


def cases() -> Sequence[tuple[str, str, int, int]]:
    """Return names, texts and cursors."""
    sizes = (("50 kB", 1_000), ("5 MB", 100_000), ("20 MB", 400_000))
    files = [(name, _LINE * lines, lines // 2, 10) for name, lines in sizes]
    wide = "value = compute(a, b); " * 52_000
    return (
        *files,
        ("one line of 1.2 MB", wide, 0, len(wide)),
        ("one line, astral", "😀é " * 400_000, 0, 800_000),
    )


def main() -> None:
    """Print a row for each document."""
    for case in cases():
        print(asyncio.run(_measure(*case)), flush=True)


if __name__ == "__main__":
    main()
