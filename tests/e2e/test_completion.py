"""From a keystroke to ghost text and back, with real weights."""

from __future__ import annotations

import asyncio

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcRequestCancelled

from tests.e2e.conftest import UTF8, UTF16, UTF32, start

pytestmark = pytest.mark.model

CODE = "def add(a, b):\n    return a +█\n\n\nprint(add(1, 2))\n"
LONG = "".join(f"def function_{n}(first, second):\n    return first * {n} + second\n\n\n" for n in range(220))


async def test_the_capability_is_advertised_only_where_the_client_has_it():
    async with start() as editor:
        assert editor.capabilities.inline_completion_provider
        assert editor.capabilities.completion_provider is None
        sync = editor.capabilities.text_document_sync
        assert isinstance(sync, types.TextDocumentSyncOptions)
        assert sync.change is types.TextDocumentSyncKind.Incremental
        commands = editor.capabilities.execute_command_provider
        assert commands is not None
        assert {"fimLsp.accepted", "fimLsp.toggle", "fimLsp.reload", "fimLsp.explain"} <= set(
            commands.commands
        )


async def test_real_weights_complete_a_line():
    async with start() as editor:
        await editor.ready()
        editor.open(CODE)
        items = await editor.items()
        assert items
        assert items[0].insert_text.startswith("    return a + b")
        assert items[0].range == types.Range(types.Position(1, 0), types.Position(1, 14))
        assert items[0].command.command == "fimLsp.accepted"
        await editor.command("fimLsp.accepted", *items[0].command.arguments)
        assert (await editor.explain()).feedback.accepted == 1


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
        assert editor.encoding == encoding
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


async def test_typing_through_a_suggestion_decodes_nothing():
    async with start() as editor:
        await editor.ready()
        editor.open(CODE)
        (item,) = await editor.items()
        ghost = item.insert_text[len("    return a +") :]
        for character in ghost[:-1]:
            editor.type(character)
            (item,) = await editor.items()
            timings = (await editor.explain()).timings
            assert (timings.evaluatedTokens, timings.generatedTokens) == (0, 0)
            assert item.insert_text == "    return a +" + ghost


async def test_typing_on_evaluates_a_token_or_two():
    async with start() as editor:
        await editor.ready()
        editor.open(LONG[:4000] + "def total(values):\n    █\n\n\nprint(total([1]))\n")
        await editor.items()
        evaluated = []
        for character in "answer = su":
            editor.type(character)
            await editor.items()
            evaluated.append((await editor.explain()).timings.evaluatedTokens)
        assert sorted(evaluated)[len(evaluated) // 2] <= 2
        assert max(evaluated) <= 6


async def test_a_newer_request_supersedes_the_older():
    async with start(options={"completion": {"debounceMinMs": 50}}) as editor:
        await editor.ready()
        editor.open(CODE)
        _, older = editor.ask()
        editor.type(" ")
        _, newer = editor.ask()
        assert await older is None
        assert (await newer).items


async def test_the_same_request_twice_is_answered_twice_and_run_once():
    async with start() as editor:
        await editor.ready()
        editor.open(CODE)
        answers = await asyncio.gather(editor.ask()[1], editor.ask()[1])
        assert answers[0] is None
        assert answers[1].items


async def test_a_document_that_moved_on_answers_null_and_keeps_the_suggestion():
    async with start() as editor:
        await editor.ready()
        editor.open(CODE)
        _, asked = editor.ask()
        editor.type(" ")
        assert await asked is None
        items = await editor.items()
        assert items
        assert (await editor.explain()).source in ("cache", "joined")


async def test_a_cancel_inside_a_long_prefill_keeps_what_was_evaluated():
    options = {"prompt": {"maxTokens": 2400}, "model": {"contextTokens": 4096}}
    async with start(options=options) as editor:
        await editor.ready()
        editor.open(LONG[:2000] + "█", uri="file:///project/other.py")
        await editor.items()
        timings = (await editor.explain()).timings
        editor.open(LONG + "def total(values):\n    █\n")
        msg_id, asked = editor.ask(invoked=True)
        # Long enough for about 600 tokens on this machine as it now is.
        await asyncio.sleep(600 * timings.prefillMs / timings.evaluatedTokens / 1000)
        editor.client.cancel_request(types.CancelParams(msg_id))
        with pytest.raises(JsonRpcRequestCancelled):
            await asyncio.wait_for(asked, 5)
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
        await asyncio.sleep(0.3)
        assert await editor.items()


async def test_a_model_setting_reloads_the_model():
    async with start(configuration={}) as editor:
        await editor.ready()
        before = len(editor.statuses)
        editor.client.set_configuration({"model": {"contextTokens": 512}}, section="fimLsp")
        editor.client.workspace_did_change_configuration(types.DidChangeConfigurationParams(settings=None))
        while len(editor.statuses) < before + 2:
            await asyncio.sleep(0.02)
        assert [status.busy for status in editor.statuses[before:]] == [True, False]
        editor.open(CODE)
        assert await editor.items()


async def test_toggle_turns_completions_off_and_on():
    async with start() as editor:
        await editor.ready()
        editor.open(CODE)
        assert (await editor.command("fimLsp.toggle")).enabled is False
        assert await editor.items(invoked=True) == []
        assert (await editor.command("fimLsp.toggle")).enabled is True
        off = await editor.command("fimLsp.toggle", {"language": "python"})
        assert off.disabledLanguages == ["python"]
        assert await editor.items(invoked=True) == []
        assert (await editor.command("fimLsp.toggle", {"language": "python"})).disabledLanguages == []
        assert await editor.items(invoked=True)


async def test_loading_is_shown_as_progress_and_the_untuned_model_says_so_once():
    async with start("--model", "smollm2-135m") as editor:
        await editor.ready()
        ((begin, *_, end),) = editor.client.progress_reports.values()
        assert "loading" in begin.title
        assert isinstance(end, types.WorkDoneProgressEnd)
        await editor.command("fimLsp.reload")
        notices = [one for one in editor.client.messages if "not tuned" in one.message.lower()]
        assert len(notices) == 1
        assert any("template smollm2" in one.message for one in editor.client.log_messages)


async def test_what_calls_for_no_action_is_only_logged_where_a_message_might_stop_the_typist():
    async with start("--model", "smollm2-135m", options={"status": False}) as editor:
        assert (await editor.command("fimLsp.reload")).state == "ready"
        await editor.explain()
        assert editor.client.messages == []
        logged = [one for one in editor.client.log_messages if "not tuned" in one.message.lower()]
        assert len(logged) == 1
