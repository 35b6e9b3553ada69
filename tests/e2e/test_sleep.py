"""A model that is not used for a while gives its memory back, and is loaded again for the next request."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from lsprotocol import types

from tests.e2e.conftest import DrivenEditor, borrow, scripted_server, start

CODE = "def add(a, b):\n    return a +█\n\n\nprint(add(1, 2))\n"
SOON = {"model": {"unloadAfterMinutes": 0.005}, "completion": {"cacheSize": 0}}
"""Asleep after 0.3 s. No answers from the cache, which needs no model."""


async def asleep(editor: DrivenEditor) -> None:
    """Wait until the server reports that its model sleeps."""
    assert (await editor.status(lambda status: status.code == "asleep")).kind == "Inactive"


def memory(editor: DrivenEditor) -> int:
    """Return the bytes of memory that the server has."""
    return int(editor.client.process.memory_info().rss)


def loads(editor: DrivenEditor) -> int:
    return sum(status.code == "loading" for status in editor.statuses)


def complaints(editor: DrivenEditor) -> list[str]:
    """Return the warnings and errors that the user would see."""
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


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def shared_sleeper() -> AsyncIterator[DrivenEditor]:
    async with start(command=scripted_server(" b"), options=SOON) as editor:
        await editor.ready()
        yield editor


@pytest_asyncio.fixture(loop_scope="session")
async def sleeper(shared_sleeper: DrivenEditor) -> AsyncIterator[DrivenEditor]:
    """Provide a server whose scripted model sleeps."""
    await asleep(shared_sleeper)
    async with borrow(shared_sleeper) as borrowed:
        yield borrowed


async def test_every_request_that_finds_it_asleep_is_answered_after_one_load(sleeper):
    sleeper.open(CODE)
    asked = [sleeper.ask(invoked=True).answer for _ in range(5)]
    answers = await asyncio.wait_for(asyncio.gather(*asked), 60)
    # The newest has the suggestion; those that it superseded are null.
    assert [answer is None for answer in answers] == [True] * 4 + [False]
    assert [item.insert_text for item in answers[-1].items] == ["    return a + b"]
    assert loads(sleeper) == 1
    assert complaints(sleeper) == []


async def test_a_request_cancelled_while_it_wakes_leaves_the_load_to_the_next(sleeper):
    sleeper.open(CODE)
    asked = sleeper.ask(invoked=True)
    sleeper.headless.cancel(asked)
    with pytest.raises(Exception, match=r"[Cc]ancel"):
        await asyncio.wait_for(asked.answer, 60)
    assert await sleeper.items(invoked=True)
    assert loads(sleeper) == 1


async def test_an_opened_document_wakes_it_unless_completion_is_off_there(sleeper):
    sleeper.open("KEY=█\n", language="plaintext", uri="file:///project/.env")
    assert not await sleeper.items(invoked=True)
    assert loads(sleeper) == 0
    sleeper.open(CODE)
    await sleeper.status(lambda status: status.code == "loading")
    await asleep(sleeper)


async def test_settings_changed_in_its_sleep_are_in_force_when_it_wakes(sleeper):
    sleeper.open(CODE)
    await asleep(sleeper)
    woken = loads(sleeper)
    off = {"completion": {"enabled": False, "cacheSize": 0}, "model": {"unloadAfterMinutes": 0}}
    sleeper.configure(off)
    assert await sleeper.items(invoked=True) == []
    assert sleeper.statuses[-1].message == "Completions are off"
    sleeper.configure({**off, "completion": {"enabled": True, "cacheSize": 0}})
    assert await sleeper.items(invoked=True)
    assert loads(sleeper) == woken + 1


@pytest.mark.model
async def test_a_model_that_is_gone_when_it_is_needed_again_is_reported(tmp_path, model_path):
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
