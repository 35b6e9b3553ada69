"""What a request asks of the engine, from settings and from what the model file says."""

from __future__ import annotations

import pytest
from attrs import evolve

from fim_lsp.completion.prompts import Prompts
from fim_lsp.engine.scripted import ScriptedEngine
from fim_lsp.gguf_keys import END_BIAS
from fim_lsp.prompt.templates import ChosenTemplate
from fim_lsp.settings import SamplingSettings, Settings
from fim_lsp.types import CompletionRequest, DocumentSnapshot, ModelInfo, SamplingParams, Trigger

DOCUMENT = DocumentSnapshot("file:///a.py", "python", 1, "x = 1\n")


def sampling(
    settings: Settings, trigger: Trigger = Trigger.AUTOMATIC, end_bias: str | None = None
) -> SamplingParams:
    info = ModelInfo("any", metadata={} if end_bias is None else {END_BIAS: end_bias})
    prompts = Prompts(ScriptedEngine(lambda _: "", info=info), ChosenTemplate(None, "none", ""))
    return prompts.sampling(CompletionRequest(DOCUMENT, 0, trigger=trigger), settings)


def test_a_suggestion_asked_for_by_a_key_may_be_longer():
    settings = Settings(sampling=SamplingSettings(max_tokens=10, invoked_max_tokens=90))
    assert sampling(settings).max_tokens == 10
    assert sampling(settings, Trigger.INVOKED).max_tokens == 90


@pytest.mark.parametrize(
    ("said", "nats"),
    [("1.750000", 1.75), ("0", 0), ("-1", 0), ("nan", 0), ("inf", 0), ("much", 0)],
)
def test_the_model_file_says_how_much_too_late_it_ends(said: str, nats: float):
    assert sampling(Settings(), end_bias=said).end_bias == nats


def test_a_model_that_says_nothing_is_left_alone_and_the_settings_go_before_it():
    assert sampling(Settings()).end_bias == 0
    settings = evolve(Settings(), sampling=SamplingSettings(end_bias=0.5))
    assert sampling(settings, end_bias="1.75").end_bias == 0.5
    settings = evolve(Settings(), sampling=SamplingSettings(end_bias=0))
    assert sampling(settings, end_bias="1.75").end_bias == 0
