"""What a real server remembers of suggestions, and what ``fim-lsp stats`` makes of it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import pytest
from lsprotocol import types

from tests.e2e.conftest import start

SAID = "gizmo.frobnicated(twice)"
CODE = "def frobnicate(gizmo, twice):\n    return █\n"
# The real server, with an engine that always says the same.
_SERVER = (
    sys.executable,
    "-c",
    f"""
import sys
from attrs import evolve
from fim_lsp.cli import main
from fim_lsp.commands import serve
from fim_lsp.engine.scripted import ScriptedEngine

engine = ScriptedEngine(lambda prompt: {SAID + "<|end|>"!r})
serve.open_engine = lambda *_: evolve(engine, info=evolve(engine.info, architecture="qwen2"))
sys.exit(main(["--stdio", *sys.argv[1:]]))
""",
)


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def env(state):
    return {**os.environ, "FIM_LSP_STATE": str(state)}


def _stats(env, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fim_lsp", "stats", *arguments],
        capture_output=True,
        text=True,
        env=env,
        timeout=240,
        stdin=subprocess.DEVNULL,
    )


def _totals(env) -> dict:
    ended = _stats(env, "--json")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


async def _offered(editor, name: str) -> types.InlineCompletionItem:
    editor.open(CODE, uri=f"file:///project/{name}.py")
    (item,) = await editor.items()
    assert item.insert_text == "    return " + SAID
    return item


async def test_every_way_a_suggestion_can_end(env, state):
    async with start(command=_SERVER, env=env) as editor:
        await editor.ready()
        item = await _offered(editor, "accepted")
        await asyncio.sleep(0.8)
        editor.type(SAID)
        await editor.command("fimLsp.accepted", *item.command.arguments)
        await _offered(editor, "word")
        editor.type("gizmo")
        await _offered(editor, "typed")
        for character in SAID:
            editor.type(character)
        await _offered(editor, "rejected")
        editor.type("None")
    told = _totals(env)
    total = told["total"]
    assert (total["offered"], total["accepted"], total["partlyAccepted"]) == (4, 1, 1)
    assert (total["typed"], total["rejected"]) == (1, 1)
    assert total["charsSaved"] == len(SAID) + len("gizmo")
    assert total["charsWritten"] == 2 * len(SAID) + len("gizmo") + len("None")
    assert total["seen"] >= 1
    assert total["acceptance"] > 0
    # The session ended before anybody could look.
    assert [one["known"] for one in total["persistence"].values()] == [0, 0, 0, 0]
    assert list(told["byModel"]) == ["scripted"]
    assert told["byLanguage"]["python"] == total
    content = b"".join(file.read_bytes() for file in state.iterdir())
    for word in (b"gizmo", b"frobnicate", b"twice", b"return", b"project", b".py"):
        assert word not in content


async def test_notifications_of_what_is_shown_and_partly_accepted(env):
    async with start(command=_SERVER, env=env) as editor:
        await editor.ready()
        notify = editor.client.protocol.notify
        converter = editor.client.protocol._converter
        item = converter.unstructure(await _offered(editor, "part"), types.InlineCompletionItem)
        notify("textDocument/didShowCompletion", {"item": item})
        length = len("    return gi")
        notify("textDocument/didPartiallyAcceptCompletion", {"item": item, "acceptedLength": length})
        editor.type("gi")
        await _offered(editor, "never shown")
        for nonsense in ({}, {"item": 3}, {"item": item, "acceptedLength": "x"}, {"item": {"command": []}}):
            notify("textDocument/didPartiallyAcceptCompletion", nonsense)
        await asyncio.sleep(0.8)
        assert await editor.command("fimLsp.explain")
    total = _totals(env)["total"]
    assert (total["offered"], total["partlyAccepted"], total["charsSaved"]) == (2, 1, 2)


async def test_off_by_one_setting(env, state):
    async with start("--set", "feedback.enabled=false", command=_SERVER, env=env) as editor:
        await editor.ready()
        item = await _offered(editor, "off")
        editor.type(SAID)
        await editor.command("fimLsp.accepted", *item.command.arguments)
    assert not state.exists()
    ended = _stats(env)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "Nothing was counted yet" in ended.stderr
    assert not state.exists()


async def test_a_state_folder_that_can_not_be_used_disturbs_nobody(env, state):
    state.write_text("a file, not a folder")
    async with start(command=_SERVER, env=env) as editor:
        await editor.ready()
        for name in "ab":
            item = await _offered(editor, name)
            editor.type(SAID)
            await editor.command("fimLsp.accepted", *item.command.arguments)
        while not (said := [one for one in editor.client.log_messages if "FIM_LSP_STATE" in one.message]):
            await asyncio.sleep(0.05)
        assert len(said) == 1
        assert editor.client.messages == []
        assert (await editor.explain()).feedback.accepted == 2


async def test_the_table_a_plot_and_clear(env, state, tmp_path):
    async with start(command=_SERVER, env=env) as editor:
        await editor.ready()
        item = await _offered(editor, "a")
        editor.type(SAID)
        await editor.command("fimLsp.accepted", *item.command.arguments)
    picture = tmp_path / "stats.svg"
    pytest.importorskip("matplotlib")
    ended = _stats(env, "--plot", str(picture))
    assert ended.returncode == 0, ended.stderr
    assert "scripted" in ended.stdout
    assert "python" in ended.stdout
    assert "scripted" in picture.read_text()
    unknown = _stats(env, "--plot", str(tmp_path / "stats.xyz"))
    assert unknown.returncode == 1
    assert ".png" in unknown.stderr
    cleared = _stats(env, "--clear")
    assert "1 suggestions" in cleared.stderr
    assert _totals(env)["total"]["offered"] == 0


def test_a_plot_without_matplotlib_says_what_to_install(env, tmp_path):
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from fim_lsp.feedback.store import *\n"
        "FeedbackStore(feedback_path()).close()\n"
        "from fim_lsp.cli import main; sys.exit(main(['stats', '--plot', 'stats.png']))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=tmp_path, timeout=240
    )
    assert ended.returncode == 1
    assert "pip install matplotlib" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_stats_of_a_folder_that_can_not_be_used(env, state):
    state.mkdir()
    (state / "feedback.sqlite3").mkdir()
    ended = _stats(env)
    assert ended.returncode == 1
    assert "feedback.sqlite3" in ended.stderr
    assert "Traceback" not in ended.stderr
