from __future__ import annotations

from attrs import evolve

from fim_lsp.engine.base import CancelToken
from fim_lsp.engine.scripted import ScriptedEngine
from fim_lsp.engine.second_model import SecondModelEngine
from fim_lsp.engine_factory import rebuild_for
from fim_lsp.prompt.builder import build
from fim_lsp.prompt.templates import choose_template
from fim_lsp.settings import ModelSettings, PromptSettings
from fim_lsp.types import CompletionRequest, DocumentSnapshot, SamplingParams

BEFORE, AFTER = "def add(a, b):\n    return a ", "\n"


def engine() -> tuple[SecondModelEngine, list[str]]:
    prompts: list[str] = []
    first = ScriptedEngine(lambda _: "FIRST")
    second = ScriptedEngine(lambda prompt: prompts.append(prompt) or "SECOND")
    second = evolve(second, info=evolve(second.info, name="larger"))
    return SecondModelEngine(first, second, rebuild_for(ModelSettings())), prompts


def run(engine: SecondModelEngine, *, second_model: bool):
    template = choose_template(engine.info, engine.tokenizer, None).template
    document = DocumentSnapshot("file:///project/add.py", "python", 1, BEFORE + AFTER)
    prompt = build(CompletionRequest(document, len(BEFORE)), template, engine.tokenizer, PromptSettings())
    prompt = evolve(prompt, second_model=second_model)
    return engine.generate(prompt, SamplingParams(), CancelToken(), [lambda _: True])[0]


def test_a_prompt_says_which_model_answers():
    both, prompts = engine()
    first, second = run(both, second_model=False), run(both, second_model=True)
    assert (first.text, first.model) == ("FIRST", "")
    assert (second.text, second.model) == ("SECOND", "larger")
    assert prompts == [f"<|fim_prefix|>{BEFORE}<|fim_suffix|>{AFTER}<|fim_middle|>"]


def test_a_prefill_goes_to_the_model_that_will_answer():
    both, _ = engine()
    template = choose_template(both.info, both.tokenizer, None).template
    document = DocumentSnapshot("file:///project/add.py", "python", 1, BEFORE + AFTER)
    prompt = build(CompletionRequest(document, len(BEFORE)), template, both.tokenizer, PromptSettings())
    both.prefill(evolve(prompt, second_model=True), CancelToken())
    assert (both.first.mirror.tokens, bool(both.second.mirror.tokens)) == ([], True)
