"""A server that was shut down resumes warm: its KV states are on the disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fim_lsp.engine.kv_state_store import kv_state_files
from tests.e2e.conftest import DrivenEditor, start

pytestmark = pytest.mark.model

CODE = (
    '"""A stack and a queue."""\n\n\nclass Stack:\n    def __init__(self):\n        self.items = []\n\n'
    "    def push(self, item):\n        self.items.append(item)\n\n"
    "    def pop(self):\n        return self.█\n\n\n"
    "class Queue:\n    def __init__(self):\n        self.items = []\n\n    def put(self, item):\n"
    "        self.items.append(item)\n\n    def get(self):\n        return self.items.pop(0)\n"
)
ALONE = {"completion": {"prefetch": False, "cacheSize": 0}, "prompt": {"coldMs": None}}


async def evaluated(editor: DrivenEditor) -> tuple[int, str]:
    """Return the prompt tokens that an answer at the cursor costs, and the text of the model."""
    assert await editor.items(invoked=True)
    explanation = await editor.explain()
    return int(explanation.timings.evaluatedTokens), str(explanation.generated)


async def asked_once(options: dict) -> tuple[int, str]:
    """Start a server, and return what its first request cost and the text of the model."""
    async with start(options=options) as editor:
        await editor.ready()
        editor.open(CODE)
        return await evaluated(editor)


async def test_the_first_request_after_a_restart_evaluates_a_few_tokens(kv_states: Path):
    cold, text = await asked_once(ALONE)
    assert cold > 100
    assert kv_state_files(kv_states)
    warm, again = await asked_once(ALONE)
    assert warm <= 2
    assert again == text


async def test_it_resumes_where_typing_had_led(kv_states: Path):
    async with start(options=ALONE) as editor:
        await editor.ready()
        editor.open(CODE)
        for part in ("items", ".pop()", "\n\n    def peek(self):", "\n        return self."):
            editor.type(part)
            await editor.items(invoked=True)
        text, cursor = editor.file.text, editor.file.cursor
    async with start(options=ALONE) as editor:
        await editor.ready()
        editor.open(text[:cursor] + "█" + text[cursor:])
        count, _ = await evaluated(editor)
        assert count <= 34  # what is less than 32 tokens ahead of a file is not written again


async def test_nothing_is_kept_where_saving_is_off(kv_states: Path):
    off = {**ALONE, "model": {"kvStateMb": 0}}
    cold, _ = await asked_once(off)
    assert kv_state_files(kv_states) == []
    assert (await asked_once(off))[0] == cold


async def test_nothing_is_kept_of_a_document_without_completions(kv_states: Path):
    async with start(options=ALONE) as editor:
        await editor.ready()
        editor.open(CODE, uri="file:///project/credentials.json")
        assert not await editor.items(invoked=True)
    assert kv_state_files(kv_states) == []


async def test_a_model_that_slept_resumes_warm():
    async with start(options={**ALONE, "model": {"unloadAfterMinutes": 0.02}}) as editor:
        await editor.ready()
        editor.open(CODE)
        cold, text = await evaluated(editor)
        await editor.status(lambda status: status.code == "asleep")
        warm, again = await evaluated(editor)
        assert cold > 100
        assert warm <= 2
        assert again == text


async def test_the_command_lists_saved_states_and_deletes_them(kv_states: Path):
    await asked_once(ALONE)

    def cache(*arguments: str) -> str:
        command = [sys.executable, "-m", "fim_lsp", "cache", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ).stdout

    assert cache().startswith(f"In {kv_states}: 1 evaluated state, ")
    assert cache("--clear").startswith("Deleted 1 ")
    assert kv_state_files(kv_states) == []
    assert (await asked_once(ALONE))[0] > 100
