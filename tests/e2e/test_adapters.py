"""Adapters exchanged while the server runs: set, refused and taken off again, without a reload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types

from fim_lsp.files import sha256_of
from tests.conftest import MODEL
from tests.e2e.conftest import Editor, start
from tests.lora_file import write_lora

pytestmark = pytest.mark.model

CODE = "def add(a, b):\n    return a +█\n\n\nprint(add(1, 2))\n"


def _configure(editor: Editor, *adapters: dict[str, Any]) -> None:
    settings = {"fimLsp": {"adapters": list(adapters)}}
    editor.client.workspace_did_change_configuration(types.DidChangeConfigurationParams(settings))


async def _said(editor: Editor) -> str:
    """What the model itself said: filters would hide some of it."""
    await editor.items(invoked=True)
    return (await editor.explain()).generated


def _loads(editor: Editor) -> int:
    return sum(status.code == "loading" for status in editor.statuses)


async def test_an_adapter_takes_effect_with_the_next_request_and_goes_as_it_came(model_path, tmp_path):
    lora = write_lora(tmp_path / "style.gguf", model_path, base_sha256=sha256_of(model_path))
    async with start("--model", MODEL) as editor:
        await editor.ready()
        editor.open(CODE)
        plain = await _said(editor)
        _configure(editor, {"path": str(lora)})
        changed = await _said(editor)
        explanation = await editor.explain()
        assert changed != plain
        assert [(one.path, one.scale) for one in explanation.adapters] == [(str(lora), 1.0)]
        assert explanation.timings.reusedTokens == 0
        assert editor.statuses[-1].message.endswith(" + style")
        _configure(editor, {"path": str(lora), "scale": 0.01}, {"path": str(lora), "scale": 0})
        assert await _said(editor) == plain
        _configure(editor)
        assert await _said(editor) == plain
        assert (await editor.explain()).adapters == []
        assert _loads(editor) == 1
        assert [message.message for message in editor.client.messages if "style" in message.message] == []


async def test_an_adapter_is_only_for_its_language_and_folder(model_path, tmp_path):
    lora = write_lora(tmp_path / "style.gguf", model_path)
    async with start("--model", MODEL) as editor:
        await editor.ready()
        editor.open(CODE)
        plain = await _said(editor)
        _configure(editor, {"path": str(lora), "languages": ["go"]})
        assert await _said(editor) == plain
        _configure(editor, {"path": str(lora), "workspaces": ["/elsewhere"]})
        assert await _said(editor) == plain
        _configure(editor, {"path": str(lora), "languages": ["python"], "workspaces": ["/project"]})
        assert await _said(editor) != plain


async def test_an_adapter_that_was_trained_anew_is_another_one(model_path, tmp_path):
    lora = write_lora(tmp_path / "style.gguf", model_path, seed=1)
    async with start("--model", MODEL) as editor:
        await editor.ready()
        editor.open(CODE)
        _configure(editor, {"path": str(lora)})
        first = await _said(editor)
        write_lora(lora, model_path, seed=2)
        assert await _said(editor) != first


async def test_a_wrong_adapter_is_told_once_and_completions_go_on(model_path, tmp_path):
    wrong = write_lora(
        tmp_path / "wrong.gguf", model_path, base_sha256="cd" * 32, base_name="other-1.5b.gguf"
    )
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(wrong.read_bytes()[:5000])
    async with start("--model", MODEL) as editor:
        await editor.ready()
        editor.open(CODE)
        plain = await _said(editor)
        _configure(editor, {"path": str(wrong)}, {"path": str(broken)}, {"path": str(model_path)})
        assert await _said(editor) == plain
        assert (await editor.explain()).adapters == []
        editor.type(" ")
        assert await editor.items() is not None
        told = [message.message for message in editor.client.messages]
        (about_wrong,) = [text for text in told if "wrong.gguf" in text]
        assert "other-1.5b.gguf (sha256 cdcdcdcdcdcd…)" in about_wrong
        assert Path(model_path).name in about_wrong
        assert len([text for text in told if "broken.gguf" in text]) == 1
        assert len([text for text in told if "whole model" in text]) == 1
