"""A stand-in for the server: suggests the name of its settings, and writes down what it saw."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from lsprotocol import types
from pygls.lsp.server import LanguageServer

server = LanguageServer("stand-in", "1")
configured: dict[str, Any] = {}


@server.feature(types.INITIALIZED)
async def initialized(_: Any) -> None:
    note(started=True)
    status = {"busy": False, "kind": "Normal", "message": "stand-in"}
    server.protocol.notify("fimLsp/status", status | {"index": {"ready": False}})
    await asyncio.sleep(0.2)
    note(indexed=True)
    server.protocol.notify("fimLsp/status", status | {"index": {"ready": True}})


@server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
def configuration_changed(params: types.DidChangeConfigurationParams) -> None:
    configured.clear()
    configured.update(
        json.loads(json.dumps(params.settings, default=lambda value: value._asdict()))["fimLsp"]
    )
    if "nonsense" in configured:
        message = types.ShowMessageParams(types.MessageType.Warning, "fimLsp.nonsense is no setting")
        server.window_show_message(message)


@server.command("fimLsp.explain")
def explain() -> dict[str, Any]:
    return {}


@server.feature("fimLsp/cursor")
def cursor_rests(_: Any) -> None:
    note(rests=True)


@server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION)
async def complete(params: types.InlineCompletionParams) -> types.InlineCompletionList:
    document = server.workspace.get_text_document(params.text_document.uri)
    path = Path(unquote(urlparse(document.uri).path))
    disk = {file.name: file.read_text() for file in path.parent.glob("*.py")}
    note(settings=dict(configured), open=document.source, name=path.name, disk=disk)
    try:
        await asyncio.sleep(configured.get("answersAfter", 0))
    except asyncio.CancelledError:
        note(cancelled=True)
        raise
    text = "with_memory" if configured.get("memory", {}).get("enabled", True) else "alone"
    return types.InlineCompletionList([types.InlineCompletionItem(text)])


def note(**what: Any) -> None:
    with Path(sys.argv[1]).open("a", encoding="utf-8") as log:
        print(json.dumps(what), file=log)


if __name__ == "__main__":
    server.start_io()
