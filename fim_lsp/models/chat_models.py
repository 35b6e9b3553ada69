"""Recognise models that were tuned to chat by their names: they explain code instead of completing it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_CHAT = re.compile(r"(?<![a-z])(?:instruct|chat|it|assistant|thinking|reasoning)(?![a-z])", re.IGNORECASE)
_TRAINED_ON_HOLES = ("qwen3-coder", "qwen3 coder", "codegeex", "granite-4", "granite 4")
"""Parts of the names of chat models whose cards describe fill-in-the-middle, in lower case."""


def chat_notice(path: Path, metadata: Mapping[str, Any]) -> str | None:
    """Return a warning about a file whose name, or whose own metadata, says that the model chats.

    Example: ``Qwen2.5-Coder-7B-Instruct-Q4_K_M.gguf`` draws one, ``Qwen2.5-Coder-7B-Q4_K_M.gguf`` none.
    """
    texts = [metadata.get(f"general.{key}") for key in ("name", "finetune", "basename")]
    names = [path.stem, *(text for text in texts if isinstance(text, str))]
    if any(part in name.lower() for part in _TRAINED_ON_HOLES for name in names):
        return None
    found = next((name for name in names if _CHAT.search(name)), None)
    if found is None:
        return None
    return (
        f"{found} is an instruct or chat model by its name: it may answer with explanations instead of code. "
        "Choose the base model of its family."
    )
