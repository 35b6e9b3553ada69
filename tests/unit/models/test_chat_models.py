from __future__ import annotations

from pathlib import Path

import pytest

from fim_lsp.models.chat_models import chat_notice


@pytest.mark.parametrize(
    ("file", "metadata"),
    [
        ("Qwen2.5-Coder-7B-Instruct-Q4_K_M", {}),
        ("deepseek-coder-6.7b-instruct.Q4_K_M", {}),
        ("codegemma-7b-it-Q8_0", {}),
        ("stable-code-chat", {}),
        ("model", {"general.name": "Mellum2 12B A2.5B Instruct"}),
        ("model", {"general.finetune": "Instruct"}),
        ("Mellum2-12B-A2.5B-Thinking", {}),
    ],
)
def test_a_chat_model_draws_a_warning_by_its_name(file: str, metadata: dict[str, str]) -> None:
    notice = chat_notice(Path(f"/models/{file}.gguf"), metadata)
    assert notice is not None
    assert "instruct or chat model by its name" in notice


@pytest.mark.parametrize(
    "file",
    [
        "Qwen2.5-Coder-7B-Q4_K_M",
        "starcoder2-3b",
        "Qwen3-Coder-30B-A3B-Instruct-Q4",
        "codegemma-2b",
        "titan-items",
    ],
)
def test_base_models_and_those_trained_on_holes_draw_none(file: str) -> None:
    assert chat_notice(Path(f"/models/{file}.gguf"), {"general.name": 7}) is None
