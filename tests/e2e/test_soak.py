"""A restless user: everything at once, and still each request is answered exactly once."""

from __future__ import annotations

import asyncio
import random

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcRequestCancelled

from fim_lsp.lsp.client import SentRequest

pytestmark = pytest.mark.model

CODE = (
    "import os\n\n\ndef walk(folder):\n    for name in os.listdir(folder):\n        █\n\n\nprint(walk('.'))\n"
)
TYPED = ["p", "print(", "name", ")", "\n        ", " ", "😀", "\r\n", "(", "self.", "x = {", "'"]


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_request_is_answered_once_whatever_happens_meanwhile(editor, seed):
    rng = random.Random(seed)
    editor.configure({"sampling": {"maxTokens": 8}, "completion": {"debounceMaxMs": 20}})
    editor.open(CODE)
    asked: list[SentRequest] = []
    for _ in range(120):
        action = rng.random()
        if action < 0.35:
            editor.type(rng.choice(TYPED))
        elif action < 0.75:
            asked.append(editor.ask(invoked=rng.random() < 0.2))
        elif action < 0.85 and asked:
            editor.headless.cancel(rng.choice(asked))
        elif action < 0.88:
            editor.file.cursor = rng.randrange(len(editor.file.text) + 1)
        elif action < 0.90:
            editor.close_all()
            editor.open(CODE)
        elif action < 0.92:
            await editor.command("fimLsp.reload")
        elif action < 0.94:
            await editor.command("fimLsp.toggle")
            await editor.command("fimLsp.toggle")
        else:
            await asyncio.sleep(rng.random() * 0.1)
    answers = await asyncio.wait_for(
        asyncio.gather(*(request.answer for request in asked), return_exceptions=True), 120
    )
    for answer in answers:
        assert answer is None or isinstance(answer, (types.InlineCompletionList, JsonRpcRequestCancelled)), (
            answer
        )
    editor.open(CODE)
    assert await editor.items(invoked=True) is not None
    errors = [
        message.message for message in editor.client.log_messages if message.type is types.MessageType.Error
    ]
    assert errors == []
