"""A model that nobody needs gives its memory back, and comes back unasked."""

from __future__ import annotations

import asyncio
import shutil
import sys

import psutil
import pytest
from lsprotocol import types

from tests.e2e.conftest import Editor, start

CODE = "def add(a, b):\n    return a +█\n\n\nprint(add(1, 2))\n"
SOON = {"model": {"unloadAfterMinutes": 0.005}, "completion": {"cacheSize": 0}}
"""Asleep after 0.3 s; no answers from the cache, which needs no model to be awake."""
_SCRIPTED = (
    sys.executable,
    "-c",
    """
import sys
from attrs import evolve
from fim_lsp.cli import main
from fim_lsp.commands import serve
from fim_lsp.engine.scripted import ScriptedEngine

def open_engine(*_):
    engine = ScriptedEngine(lambda prompt: " b<|end|>")
    return evolve(engine, info=evolve(engine.info, architecture="qwen2"))

serve.open_engine = open_engine
sys.exit(main(["--stdio", *sys.argv[1:]]))
""",
)


async def asleep(editor: Editor) -> None:
    """Wait until the server says that its model sleeps."""
    while not (editor.statuses and editor.statuses[-1].code == "asleep"):
        editor.seen.clear()
        await asyncio.wait_for(editor.seen.wait(), 60)
    assert editor.statuses[-1].kind == "Inactive"


def memory(editor: Editor) -> int:
    """Bytes that the server holds."""
    assert editor.client._server is not None
    return int(psutil.Process(editor.client._server.pid).memory_info().rss)


def loads(editor: Editor) -> int:
    return sum(status.code == "loading" for status in editor.statuses)


def complaints(editor: Editor) -> list[str]:
    """What the user would see of trouble."""
    bad = (types.MessageType.Error, types.MessageType.Warning)
    shown = [message.message for message in editor.client.messages]
    return shown + [log.message for log in editor.client.log_messages if log.type in bad]


@pytest.mark.model
async def test_a_model_that_sleeps_frees_its_memory_and_answers_the_next_request():
    async with start(options=SOON) as editor:
        await editor.ready()
        editor.open(CODE)
        first = await editor.items(invoked=True)
        assert first
        awake = memory(editor)
        size = _model_bytes()
        await asleep(editor)
        assert memory(editor) < awake - size / 2
        again = await editor.items(invoked=True)
        assert again is not None
        assert [item.insert_text for item in again] == [item.insert_text for item in first]
        assert editor.statuses[-1].kind == "Normal"
        assert loads(editor) == 2
        await asleep(editor)
        assert complaints(editor) == []


def _model_bytes() -> int:
    from fim_lsp.models.store import ModelStore
    from fim_lsp.paths import models_folder

    return ModelStore(models_folder()).resolve("default").path.stat().st_size


async def test_every_request_that_finds_it_asleep_is_answered_after_one_load():
    async with start(command=_SCRIPTED, options=SOON) as editor:
        await editor.ready()
        editor.open(CODE)
        await asleep(editor)
        woken = loads(editor)
        asked = [editor.ask(invoked=True)[1] for _ in range(5)]
        answers = await asyncio.wait_for(asyncio.gather(*asked), 60)
        # The newest has the suggestion; those that it overtook say so.
        assert [answer is None for answer in answers] == [True] * 4 + [False]
        assert [item.insert_text for item in answers[-1].items] == ["    return a + b"]
        assert loads(editor) == woken + 1
        assert complaints(editor) == []


async def test_a_request_cancelled_while_it_wakes_leaves_the_load_to_the_next():
    async with start(command=_SCRIPTED, options=SOON) as editor:
        await editor.ready()
        editor.open(CODE)
        await asleep(editor)
        woken = loads(editor)
        msg_id, answer = editor.ask(invoked=True)
        editor.client.cancel_request(types.CancelParams(msg_id))
        with pytest.raises(Exception, match=r"[Cc]ancel"):
            await asyncio.wait_for(answer, 60)
        assert await editor.items(invoked=True)
        assert loads(editor) == woken + 1


async def test_an_opened_document_wakes_it_unless_completion_is_off_there():
    async with start(command=_SCRIPTED, options=SOON) as editor:
        await editor.ready()
        await asleep(editor)
        woken = loads(editor)
        editor.open("KEY=█\n", language="plaintext", uri="file:///project/.env")
        assert not await editor.items(invoked=True)
        assert loads(editor) == woken
        editor.open(CODE)
        while loads(editor) == woken:
            editor.seen.clear()
            await asyncio.wait_for(editor.seen.wait(), 60)
        await asleep(editor)


async def test_settings_changed_in_its_sleep_are_in_force_when_it_wakes():
    async with start(command=_SCRIPTED, options=SOON) as editor:
        await editor.ready()
        editor.open(CODE)
        await asleep(editor)
        woken = loads(editor)
        off = {"completion": {"enabled": False, "cacheSize": 0}, "model": {"unloadAfterMinutes": 0}}
        _configure(editor, off)
        assert await editor.items(invoked=True) == []
        assert editor.statuses[-1].code == "disabled"
        _configure(editor, {**off, "completion": {"enabled": True, "cacheSize": 0}})
        assert await editor.items(invoked=True)
        assert loads(editor) == woken + 1


@pytest.mark.model
async def test_a_model_that_is_gone_when_it_is_wanted_again_is_said_and_nothing_hangs(tmp_path, model_path):
    copy = tmp_path / "mine.gguf"
    shutil.copy(model_path, copy)
    async with start("--model", str(copy), options=SOON) as editor:
        await editor.ready()
        editor.open(CODE)
        await asleep(editor)
        copy.unlink()
        assert await editor.items(invoked=True) == []
        assert editor.statuses[-1].kind == "Error"
        assert await editor.items(invoked=True) == []


def _configure(editor: Editor, settings: dict) -> None:
    params = types.DidChangeConfigurationParams({"fimLsp": settings})
    editor.client.workspace_did_change_configuration(params)
