"""From a keystroke to ghost text and back, with real weights."""

from __future__ import annotations

import asyncio

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcRequestCancelled

from tests.e2e.conftest import UTF8, UTF16, UTF32, accepted, start

pytestmark = pytest.mark.model

CODE = "def add(a, b):\n    return a +█\n\n\nprint(add(1, 2))\n"
LONG = "".join(f"def function_{n}(first, second):\n    return first * {n} + second\n\n\n" for n in range(220))


async def test_the_capability_is_advertised_only_where_the_client_has_it(editor):
    assert editor.capabilities.inline_completion_provider
    assert editor.capabilities.completion_provider is None
    sync = editor.capabilities.text_document_sync
    assert isinstance(sync, types.TextDocumentSyncOptions)
    assert sync.change is types.TextDocumentSyncKind.Incremental
    commands = editor.capabilities.execute_command_provider
    assert commands is not None
    assert {"fimLsp.accepted", "fimLsp.toggle", "fimLsp.reload", "fimLsp.explain"} <= set(commands.commands)


async def test_real_weights_complete_a_line(editor):
    editor.open(CODE)
    items = await editor.items()
    assert items
    assert items[0].insert_text.startswith("    return a + b")
    assert items[0].range == types.Range(types.Position(1, 0), types.Position(1, 14))
    assert items[0].command.command == "fimLsp.accepted"
    before = accepted(await editor.explain())
    await editor.command("fimLsp.accepted", *items[0].command.arguments)
    assert accepted(await editor.explain()) == before + 1


async def test_a_client_without_inline_completion_gets_menu_entries():
    async with start(inline=False) as editor:
        await editor.ready()
        assert editor.capabilities.completion_provider
        editor.open(CODE)
        params = types.CompletionParams(editor.identifier, editor.position)
        answer = await editor.client.text_document_completion_async(params)
        assert isinstance(answer, types.CompletionList)
        (entry,) = answer.items
        assert entry.label.startswith("b")
        assert "+" not in entry.label


@pytest.mark.parametrize("encoding", [UTF8, UTF16, UTF32])
async def test_astral_characters_before_the_cursor(encoding):
    async with start(encodings=[encoding]) as editor:
        assert editor.headless.encoding == encoding
        await editor.ready()
        editor.open("def add(a, b):\n    '😀日本' ; x = a +█\n\n\nprint(add(1, 2))\n")
        items = await editor.items()
        assert items
        assert items[0].insert_text.startswith("    '😀日本' ; x = a + ")
        assert items[0].range.end == editor.position
        # An edit after those characters lands where the editor made it.
        editor.type(" b; '𝒙' ")
        await editor.items()
        explanation = await editor.explain()
        assert any("a + b; '𝒙' " in part.text for part in explanation.parts)


async def test_typing_through_a_suggestion_decodes_nothing(editor):
    editor.open(CODE)
    (item,) = await editor.items()
    ghost = item.insert_text[len("    return a +") :]
    for character in ghost[:-1]:
        editor.type(character)
        (item,) = await editor.items()
        timings = (await editor.explain()).timings
        assert (timings.evaluatedTokens, timings.generatedTokens) == (0, 0)
        assert item.insert_text == "    return a +" + ghost


async def test_typing_on_evaluates_a_token_or_two(editor):
    editor.open(LONG[:4000] + "def total(values):\n    █\n\n\nprint(total([1]))\n")
    await editor.items()
    evaluated = []
    for character in "answer = su":
        editor.type(character)
        await editor.items()
        evaluated.append((await editor.explain()).timings.evaluatedTokens)
    assert sorted(evaluated)[len(evaluated) // 2] <= 2
    assert max(evaluated) <= 6


async def test_a_newer_request_supersedes_the_older(editor):
    editor.configure({"completion": {"debounceMinMs": 50}})
    editor.open(CODE)
    older = editor.ask()
    editor.type(" ")
    newer = editor.ask()
    assert await older.answer is None
    assert (await newer.answer).items


async def test_the_same_request_twice_is_answered_twice_and_run_once(editor):
    editor.open(CODE)
    answers = await asyncio.gather(editor.ask().answer, editor.ask().answer)
    assert answers[0] is None
    assert answers[1].items


async def test_a_document_that_moved_on_answers_null_and_keeps_the_suggestion(editor):
    editor.open(CODE)
    asked = editor.ask()
    editor.type(" ")
    assert await asked.answer is None
    items = await editor.items()
    assert items
    assert (await editor.explain()).source in ("cache", "joined")


async def test_a_cancel_inside_a_long_prefill_keeps_what_was_evaluated():
    options = {"prompt": {"maxTokens": 2400, "coldMs": None}, "model": {"contextTokens": 4096}}
    async with start(options=options) as editor:
        await editor.ready()
        editor.open(LONG[:2000] + "█", uri="file:///project/other.py")
        await editor.items()
        timings = (await editor.explain()).timings
        editor.open(LONG + "def total(values):\n    █\n")
        asked = editor.ask(invoked=True)
        # Long enough for about 600 tokens on this machine as it now is.
        await asyncio.sleep(600 * timings.prefillMs / timings.evaluatedTokens / 1000)
        editor.headless.cancel(asked)
        with pytest.raises(JsonRpcRequestCancelled):
            await asyncio.wait_for(asked.answer, 5)
        await editor.items(invoked=True)
        explanation = await editor.explain()
        whole = sum(part.tokens for part in explanation.parts)
        timings = explanation.timings
        assert whole >= 2000
        assert timings.reusedTokens > 100
        # Healing leaves the last word out of the prompt, so the sum may be a few tokens short of it.
        assert whole - 4 <= timings.reusedTokens + timings.evaluatedTokens <= whole


async def test_settings_change_without_a_restart():
    async with start(configuration={"completion": {"enabled": False}}) as editor:
        status = await editor.ready()
        assert status.kind == "Inactive"
        editor.open(CODE)
        assert await editor.items() == []
        editor.client.set_configuration({"completion": {"enabled": True}}, section="fimLsp")
        changed = types.DidChangeConfigurationParams(settings=None)
        editor.client.workspace_did_change_configuration(changed)
        await editor.status(lambda status: status.kind == "Normal")
        assert await editor.items()


async def test_a_model_setting_reloads_the_model():
    async with start(configuration={}) as editor:
        await editor.ready()
        before = len(editor.statuses)
        editor.client.set_configuration({"model": {"contextTokens": 512}}, section="fimLsp")
        editor.client.workspace_did_change_configuration(types.DidChangeConfigurationParams(settings=None))
        await editor.status(lambda _: len(editor.statuses) == before + 2)
        assert [status.busy for status in editor.statuses[before:]] == [True, False]
        editor.open(CODE)
        assert await editor.items()


async def test_toggle_turns_completions_off_and_on(editor):
    editor.open(CODE)
    assert (await editor.command("fimLsp.toggle")).enabled is False
    assert await editor.items(invoked=True) == []
    assert (await editor.command("fimLsp.toggle")).enabled is True
    off = await editor.command("fimLsp.toggle", {"language": "python"})
    assert off.disabledLanguages == ["python"]
    assert await editor.items(invoked=True) == []
    assert (await editor.command("fimLsp.toggle", {"language": "python"})).disabledLanguages == []
    assert await editor.items(invoked=True)


async def test_loading_is_shown_as_progress_and_an_untuned_model_is_remarked_once():
    async with start("--model", "smollm2-135m") as editor:
        await editor.ready()
        ((begin, *_, end),) = editor.client.progress_reports.values()
        assert "loading" in begin.title
        assert isinstance(end, types.WorkDoneProgressEnd)
        await editor.command("fimLsp.reload")
        notices = [sent for sent in editor.client.messages if "not tuned" in sent.message.lower()]
        assert len(notices) == 1
        assert any("template smollm2" in sent.message for sent in editor.client.log_messages)


async def test_a_remark_is_only_logged_where_a_message_might_stop_the_typist():
    async with start("--model", "smollm2-135m", options={"status": False}) as editor:
        assert (await editor.command("fimLsp.reload")).state == "ready"
        await editor.explain()
        assert editor.client.messages == []
        logged = [sent for sent in editor.client.log_messages if "not tuned" in sent.message.lower()]
        assert len(logged) == 1
