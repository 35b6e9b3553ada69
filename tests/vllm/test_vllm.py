"""The remote engine against a real vLLM with two adapters. Opt-in: ``make test-vllm``, see docs/remote.md."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fim_lsp.engine.base import AdapterError, CancelToken
from fim_lsp.engine.remote import RemoteEngine, open_remote
from fim_lsp.prompt.builder import build
from fim_lsp.prompt.templates import choose_template
from fim_lsp.remote_settings import RemoteSettings
from fim_lsp.settings import ModelSettings, PromptSettings
from fim_lsp.types import AppliedAdapter, CompletionRequest, DocumentSnapshot, FinishReason, SamplingParams

URL = os.environ.get("FIM_LSP_VLLM_URL", "")
BEFORE, AFTER = (
    "def average(numbers):\n    total = sum(numbers)\n    return ",
    "\n\n\nprint(average([1, 2]))\n",
)

pytestmark = pytest.mark.skipif(not URL, reason="FIM_LSP_VLLM_URL names no vLLM with two adapters")


@pytest.fixture(scope="module")
def engine():
    engine = open_remote(ModelSettings(remote=RemoteSettings(url=URL, timeout_ms=120_000)))
    engine.connect()
    yield engine
    engine.close()


def run(engine: RemoteEngine, *adapters: str, max_tokens: int = 16, on_token=lambda _: True):
    template = choose_template(engine.info, engine.tokenizer, None).template
    document = DocumentSnapshot("file:///average.py", "python", 1, BEFORE + AFTER)
    prompt = build(CompletionRequest(document, len(BEFORE)), template, engine.tokenizer, PromptSettings())
    applied = tuple(AppliedAdapter(Path(), name=name) for name in adapters)
    prompt = prompt.__class__(prompt.head, prompt.tail, prompt.stop_ids, prompt.heal, adapters=applied)
    return engine.generate(prompt, SamplingParams(max_tokens=max_tokens), CancelToken(), [on_token])[0]


def names(engine: RemoteEngine) -> tuple[str, ...]:
    with pytest.raises(AdapterError) as caught:
        run(engine, "there-is-no-such-adapter")
    return tuple(caught.value.remedy.removeprefix("It has: ").rstrip(".").split(", "))


def test_it_is_found_to_be_vllm_and_completes(engine):
    generation = run(engine)
    assert generation.text.strip()
    assert all(0 < probability <= 1 for probability in generation.probabilities)


def test_two_adapters_are_chosen_by_name(engine):
    first, second = names(engine)[:2]
    plain, one, two = (run(engine, *chosen) for chosen in ((), (first,), (second,)))
    probabilities = {plain.probabilities, one.probabilities, two.probabilities}
    assert len(probabilities) == 3, "each adapter changes what the model computes"
    again = run(engine)
    assert again.text == plain.text
    assert again.probabilities == pytest.approx(plain.probabilities, abs=0.02)


def test_a_stop_rule_ends_it_early(engine):
    generation = run(engine, max_tokens=64, on_token=lambda _: False)
    assert generation.finish_reason is FinishReason.STOPPED
    assert len(generation.probabilities) == 1
