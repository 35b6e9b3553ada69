"""A word that the cursor cut is written by a server as in process, token by token."""

from __future__ import annotations

import string

import pytest

from fim_lsp.engine.base import CancelToken, Engine
from fim_lsp.prompt.builder import build
from fim_lsp.prompt.templates import choose_template
from fim_lsp.settings import PromptSettings
from fim_lsp.types import CompletionRequest, DocumentSnapshot, SamplingParams

BEFORE = 'def apply_seasonal_rate(season, price):\n    """Return the price of a season."""\n    rate ='
AFTER = "\n    return rate * price\n"
WORD = string.ascii_letters + string.digits + "_"
CUTS = (" apply_sea", " seas", " sea", " pri", " self.perfo", " is_packag", " isinst", " appl", " ra")


@pytest.mark.model
def test_a_server_writes_the_same_word_as_the_model_in_process(
    llama_engine: Engine, remote_llama_engine: Engine
):
    differing = []
    for cut in CUTS:
        local, remote = (word_of(fill(engine, cut)) for engine in (llama_engine, remote_llama_engine))
        if local != remote:
            differing.append((cut, local, remote))
    assert differing == []


def word_of(text: str) -> str:
    """Return the rest of the word. Behind it two tokens may be as likely, and kernels round differently."""
    return text[: len(text) - len(text.lstrip(WORD))]


def fill(engine: Engine, cut: str) -> str:
    template = choose_template(engine.info, engine.tokenizer, None).template
    document = DocumentSnapshot("file:///project/rates.py", "python", 1, BEFORE + cut + AFTER)
    request = CompletionRequest(document, len(BEFORE + cut))
    prompt = build(request, template, engine.tokenizer, PromptSettings())
    (answer,) = engine.generate(prompt, SamplingParams(max_tokens=8), CancelToken(), [lambda _: True])
    return answer.text
