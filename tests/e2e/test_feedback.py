"""The feedback that a real server records, and what ``fim-lsp stats`` shows of it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import pytest
from lsprotocol import types
from pygls.protocol import default_converter

from fim_lsp.feedback.statistics import SEEN_MS
from fim_lsp.paths import USER_PATHS
from tests.e2e.conftest import files_in, scripted_server, start, until

SUGGESTION = "gizmo.frobnicated(twice)"
CODE = "def frobnicate(gizmo, twice):\n    return █\n"
SERVER = scripted_server(SUGGESTION)


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


async def _suggested(editor, name: str) -> types.InlineCompletionItem:
    editor.open(CODE, uri=f"file:///project/{name}.py")
    (item,) = await editor.items()
    assert item.insert_text == "    return " + SUGGESTION
    return item


async def test_every_way_a_suggestion_can_end(env, state):
    async with start(command=SERVER, env=env) as editor:
        await editor.ready()
        item = await _suggested(editor, "accepted")
        await asyncio.sleep(SEEN_MS / 1000 + 0.05)  # on screen for long enough to count as seen
        editor.type(SUGGESTION)
        await editor.command("fimLsp.accepted", *item.command.arguments)
        await _suggested(editor, "word")
        editor.type("gizmo")
        await _suggested(editor, "typed")
        for character in SUGGESTION:
            editor.type(character)
        await _suggested(editor, "rejected")
        editor.type("None")
    stats = _totals(env)
    total = stats["total"]
    assert (total["offered"], total["accepted"], total["partlyAccepted"]) == (4, 1, 1)
    assert (total["typed"], total["rejected"]) == (1, 1)
    assert total["charsSaved"] == len(SUGGESTION) + len("gizmo")
    assert total["charsWritten"] == 2 * len(SUGGESTION) + len("gizmo") + len("None")
    assert total["seen"] >= 1
    assert total["acceptance"] > 0
    # The session ended before anything could be measured.
    assert [measured["known"] for measured in total["persistence"].values()] == [0, 0, 0, 0]
    assert list(stats["byModel"]) == ["scripted"]
    assert stats["byLanguage"]["python"] == total
    content = b"".join(file.read_bytes() for file in state.iterdir())
    for word in (b"gizmo", b"frobnicate", b"twice", b"return", b"project", b".py"):
        assert word not in content


async def test_notifications_of_what_is_shown_and_partly_accepted(env):
    async with start(command=SERVER, env=env) as editor:
        await editor.ready()
        notify = editor.client.protocol.notify
        converter = default_converter()
        item = converter.unstructure(await _suggested(editor, "part"), types.InlineCompletionItem)
        notify("textDocument/didShowCompletion", {"item": item})
        length = len("    return gi")
        notify("textDocument/didPartiallyAcceptCompletion", {"item": item, "acceptedLength": length})
        editor.type("gi")
        await _suggested(editor, "never shown")
        for nonsense in ({}, {"item": 3}, {"item": item, "acceptedLength": "x"}, {"item": {"command": []}}):
            notify("textDocument/didPartiallyAcceptCompletion", nonsense)
        assert await editor.command("fimLsp.explain")
    total = _totals(env)["total"]
    assert (total["offered"], total["partlyAccepted"], total["charsSaved"]) == (2, 1, 2)


async def test_a_server_of_the_tests_leaves_the_user_alone(new_user, user_folder):
    as_new_user, home = new_user
    env = {**as_new_user, **{path.variable: os.environ[path.variable] for path in USER_PATHS}}
    before = len(files_in(user_folder))
    async with start(command=SERVER, env=env) as editor:
        await editor.ready()
        await _suggested(editor, "a")
        editor.type(SUGGESTION)
    assert files_in(home) == []
    assert len(files_in(user_folder)) >= max(before, 1)


async def test_off_by_one_setting(env, state):
    async with start("--set", "feedback.enabled=false", command=SERVER, env=env) as editor:
        await editor.ready()
        item = await _suggested(editor, "off")
        editor.type(SUGGESTION)
        await editor.command("fimLsp.accepted", *item.command.arguments)
    assert not state.exists()
    ended = _stats(env)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "Nothing was counted yet" in ended.stderr
    assert not state.exists()


async def test_a_state_folder_that_can_not_be_used_is_reported_once_in_the_log(env, state):
    state.write_text("a file, not a folder")
    async with start(command=SERVER, env=env) as editor:
        await editor.ready()
        for name in "ab":
            item = await _suggested(editor, name)
            editor.type(SUGGESTION)
            await editor.command("fimLsp.accepted", *item.command.arguments)

        def warnings() -> list[str]:
            logged = [message.message for message in editor.client.log_messages]
            return [text for text in logged if "FIM_LSP_STATE" in text]

        await until(warnings)
        assert len(warnings()) == 1
        assert editor.client.messages == []
        assert (await editor.explain()).feedback.accepted == 2


async def test_the_table_a_plot_and_clear(env, state, tmp_path):
    async with start(command=SERVER, env=env) as editor:
        await editor.ready()
        item = await _suggested(editor, "a")
        editor.type(SUGGESTION)
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


def test_a_plot_without_matplotlib_names_what_to_install(env, tmp_path):
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
