"""Malformed files, settings and documents: every request is answered and the server stays."""

from __future__ import annotations

import json
import time

import pytest
from lsprotocol import types

from fim_lsp.lsp.client import OpenFile
from fim_lsp.paths import SETTINGS
from tests.e2e.conftest import scripted_server, start, until

CODE = "def add(a, b):\n    return a +█\n"


async def test_a_broken_model_is_named_and_a_reload_recovers(broken_model, model_path):
    async with start(configuration={"model": {"name": str(broken_model)}}) as editor:
        status = await editor.ready()
        assert status.kind == "Error"
        assert "broken.gguf" in status.message
        await until(lambda: any("broken.gguf" in shown.message for shown in editor.client.messages))
        editor.open(CODE)
        assert await editor.items() == []
        broken_model.unlink()
        broken_model.symlink_to(model_path)
        assert (await editor.command("fimLsp.reload")).state == "ready"
        assert await editor.items()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("no-such-model", "no-such-model"),
        ("smollm2-135n", "smollm2-135m"),
        ("/nowhere/model.gguf", "/nowhere/model.gguf"),
    ],
)
async def test_a_missing_model_is_named(name, text):
    async with start("--model", name) as editor:
        assert (await editor.ready()).kind == "Error"
        await until(lambda: any(text in shown.message for shown in editor.client.messages))
        editor.open(CODE)
        assert await editor.items() == []
        assert (await editor.command("fimLsp.reload")).state == "failed"


@pytest.mark.model
async def test_a_template_the_model_can_not_express_is_refused_and_recovers():
    async with start(configuration={"model": {"template": "codestral"}}) as editor:
        assert (await editor.ready()).kind == "Error"
        editor.open(CODE)
        assert await editor.items() == []
        editor.client.set_configuration({}, section="fimLsp")
        editor.client.workspace_did_change_configuration(types.DidChangeConfigurationParams(settings=None))
        await editor.status(lambda status: status.code == "ready")
        assert await editor.items()


async def test_requests_before_the_model_is_ready_answer_nothing(model_path):
    async with start() as editor:
        editor.open(CODE)
        assert await editor.items() == []
        await editor.ready()


@pytest.mark.model
async def test_a_bad_setting_is_shown_and_the_last_good_ones_stay(editor):
    editor.configure({"completion": {"maxLines": 3}})
    editor.configure({"completion": {"maxLines": "many"}})
    editor.open(CODE)
    assert await editor.items()
    shown = [
        message.message
        for message in editor.client.messages
        if "fimLsp.completion.maxLines" in message.message
    ]
    assert len(shown) == 1
    assert "expected int, not 'many'" in shown[0]


@pytest.mark.parametrize("source", ["options", "configuration", "change", "file"])
@pytest.mark.parametrize(
    ("layer", "problem"),
    [
        (
            {"prompt": {"cursorCpuSecond": 3}},
            "unknown setting cursorCpuSecond @ fimLsp.prompt (did you mean cursorCpuSeconds?)",
        ),
        ({"memory": {"maxTokens": "6M"}}, "expected int, not '6M' @ fimLsp.memory.maxTokens"),
        ({"completion": 5}, "expected an object, not 5 @ fimLsp.completion"),
    ],
)
async def test_a_server_with_a_bad_setting_is_ready_and_says_once_which(new_user, source, layer, problem):
    env, home = new_user
    given = {source: layer} if source in ("options", "configuration") else {}
    if source == "file":
        env = {**env, SETTINGS.variable: str(home / "settings.json")}
        (home / "settings.json").write_text(json.dumps(layer))
    async with start(command=scripted_server("b + 1"), env=env, **given) as editor:
        if source == "change":
            editor.configure(layer)
        await editor.status(lambda status: status.code == "ready")
        editor.open(CODE)
        assert (await editor.items())[0].insert_text.endswith("b + 1")
        shown = [message.message for message in editor.client.messages if "Bad settings" in message.message]
    assert shown == [f"Bad settings: {problem}. The settings from before stay in force."]


@pytest.mark.model
@pytest.mark.parametrize(
    "position",
    [types.Position(9999, 0), types.Position(0, 99999), types.Position(2**31 - 1, 2**31 - 1)],
)
async def test_positions_past_the_end(editor, position):
    editor.open(CODE)
    context = types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic)
    params = types.InlineCompletionParams(context, editor.identifier, position)
    answer = await editor.client.text_document_inline_completion_async(params)
    assert isinstance(answer, types.InlineCompletionList)


@pytest.mark.model
async def test_an_unknown_document_has_no_completions(editor):
    editor.file = OpenFile("file:///never/opened.py", "")
    assert await editor.items() == []
    editor.type("x")  # a change to a document that is not open
    assert await editor.items() == []


@pytest.mark.model
@pytest.mark.parametrize(
    "marked",
    [
        pytest.param("x = 1\n" * 400_000 + "def f(a):\n    return a█\n" + "y = 2\n" * 400_000, id="5 MB"),
        pytest.param("data = [" + "1, " * 40_000 + "█]\n", id="a line of 100,000 characters"),
        pytest.param("a = 'x\x00y'\nb = 'x\x00█", id="NUL"),
        pytest.param("s = '\ud800'\nt = s█\n", id="a lone surrogate"),
        pytest.param("def f(a):\r\n    return a█\r\n\r\nf(1)\r\n", id="CRLF"),
        pytest.param("\x0c\nimport os\nos.█", id="form feed"),
        pytest.param("█", id="empty"),
        pytest.param("日本語" * 3000 + "█" + "😀" * 3000, id="no spaces"),
        pytest.param(
            "x = '<|endoftext|><jupyter_start><jupyter_code><|fim_middle|><|im_end|>'\ny = x█\n", id="markers"
        ),
    ],
)
async def test_strange_documents(editor, marked):
    editor.open(marked)
    asked = time.perf_counter()
    assert await editor.items() is not None
    for character in ".x":
        editor.type(character)
        assert await editor.items() is not None
    explanation = await editor.explain()
    assert sum(part.tokens for part in explanation.parts) <= 1024
    # No benchmark: this only rules out a hang.
    assert time.perf_counter() - asked < 60
    for item in await editor.items():
        assert "\r" not in item.insert_text
        assert item.range.start.line == item.range.end.line


async def test_commands_with_odd_arguments():
    async with start("--model", "/nowhere") as editor:
        await editor.ready()
        await editor.command("fimLsp.accepted")
        await editor.command("fimLsp.accepted", 1, None, {"x": []})
        await editor.command("fimLsp.toggle", "yes")
        await editor.command("fimLsp.toggle", {"enabled": True, "language": None})
        assert (await editor.explain()).source == "generated"
