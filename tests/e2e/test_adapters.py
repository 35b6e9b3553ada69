"""Adapters exchanged while the server runs: set, refused and taken off again, without a reload."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from fim_lsp.files import sha256_of
from tests.conftest import MODEL
from tests.e2e.conftest import SHARED, DrivenEditor, start
from tests.lora_file import write_lora

pytestmark = pytest.mark.model

CODE = "def add(a, b):\n    return a +█\n\n\nprint(add(1, 2))\n"


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def shared_editor() -> AsyncIterator[DrivenEditor]:
    async with start("--model", MODEL, options=SHARED) as editor:
        await editor.ready()
        yield editor


def _configure(editor: DrivenEditor, *adapters: dict[str, Any]) -> None:
    editor.configure({"adapters": list(adapters)})


async def _generated(editor: DrivenEditor) -> str:
    """Return the text of the model, because filters would hide some of it."""
    await editor.items(invoked=True)
    return (await editor.explain()).generated


def _loads(editor: DrivenEditor) -> int:
    return sum(status.code == "loading" for status in editor.statuses)


async def test_an_adapter_takes_effect_with_the_next_request_and_goes_as_it_came(
    editor, model_path, tmp_path
):
    lora = write_lora(tmp_path / "style.gguf", model_path, base_sha256=sha256_of(model_path))
    editor.open(CODE)
    plain = await _generated(editor)
    _configure(editor, {"path": str(lora)})
    changed = await _generated(editor)
    explanation = await editor.explain()
    assert changed != plain
    assert [(adapter.path, adapter.scale) for adapter in explanation.adapters] == [(str(lora), 1.0)]
    assert explanation.timings.reusedTokens == 0
    assert editor.statuses[-1].message.endswith(" + style")
    _configure(editor, {"path": str(lora), "scale": 0.01}, {"path": str(lora), "scale": 0})
    assert await _generated(editor) == plain
    _configure(editor)
    assert await _generated(editor) == plain
    assert (await editor.explain()).adapters == []
    assert _loads(editor) == 0
    assert [message.message for message in editor.client.messages if "style" in message.message] == []


async def test_an_adapter_is_only_for_its_language_and_folder(editor, model_path, tmp_path):
    lora = write_lora(tmp_path / "style.gguf", model_path)
    editor.open(CODE)
    plain = await _generated(editor)
    _configure(editor, {"path": str(lora), "languages": ["go"]})
    assert await _generated(editor) == plain
    _configure(editor, {"path": str(lora), "workspaces": ["/elsewhere"]})
    assert await _generated(editor) == plain
    _configure(editor, {"path": str(lora), "languages": ["python"], "workspaces": ["/project"]})
    assert await _generated(editor) != plain


async def test_an_adapter_that_was_trained_anew_is_another_one(editor, model_path, tmp_path):
    lora = write_lora(tmp_path / "style.gguf", model_path, seed=1)
    editor.open(CODE)
    _configure(editor, {"path": str(lora)})
    first = await _generated(editor)
    write_lora(lora, model_path, seed=2)
    assert await _generated(editor) != first


async def test_a_wrong_adapter_is_reported_once_and_completions_go_on(editor, model_path, tmp_path):
    wrong = write_lora(
        tmp_path / "wrong.gguf", model_path, base_sha256="cd" * 32, base_name="other-1.5b.gguf"
    )
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(wrong.read_bytes()[:5000])
    editor.open(CODE)
    plain = await _generated(editor)
    _configure(editor, {"path": str(wrong)}, {"path": str(broken)}, {"path": str(model_path)})
    assert await _generated(editor) == plain
    assert (await editor.explain()).adapters == []
    editor.type(" ")
    assert await editor.items() is not None
    shown = [message.message for message in editor.client.messages]
    (about_wrong,) = [text for text in shown if "wrong.gguf" in text]
    assert "other-1.5b.gguf (sha256 cdcdcdcdcdcd…)" in about_wrong
    assert Path(model_path).name in about_wrong
    assert len([text for text in shown if "broken.gguf" in text]) == 1
    assert len([text for text in shown if "whole model" in text]) == 1
