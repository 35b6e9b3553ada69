from __future__ import annotations

import pytest

from fim_lsp.engine.base import CancelToken
from fim_lsp.engine.scripted import END, Script, ScriptedEngine
from fim_lsp.types import FinishReason, Generation, Prompt, SamplingParams, StreamedToken
from training.evaluate.overrun import OverrunEngine


def _generate(
    text: str, stop_after: str, overrun: int, max_tokens: int = 64
) -> tuple[OverrunEngine, Generation]:
    passed: list[str] = []

    def on_token(token: StreamedToken) -> bool:
        passed.append(token.text)
        return "".join(passed) != stop_after

    engine = OverrunEngine(ScriptedEngine(lambda _: text), overrun)
    prompt = Prompt(head=(), tail="x = ")
    (generation,) = engine.generate(prompt, SamplingParams(max_tokens), CancelToken(), [on_token])
    assert "".join(passed) == generation.text
    return engine, generation


def test_the_model_ends_by_itself_after_the_stop_rules_ended_the_answer() -> None:
    engine, generation = _generate("abc\ndef" + END, "abc", overrun=10)
    assert (generation.text, generation.finish_reason) == ("abc", FinishReason.STOPPED)
    assert generation.timings.generated_tokens == len(generation.probabilities) == 3
    assert engine.observed is not None
    assert (engine.observed.written, engine.observed.finish) == ("abc\ndef", FinishReason.END)


@pytest.mark.parametrize(("overrun", "written"), [(0, "abc"), (2, "abcde")])
def test_it_gets_no_more_than_the_overrun(overrun: int, written: str) -> None:
    engine, generation = _generate("abcdefgh", "abc", overrun)
    assert generation.text == "abc"
    assert engine.observed is not None
    assert (engine.observed.written, engine.observed.finish) == (written, FinishReason.STOPPED)


def test_an_answer_without_a_stop_comes_through_as_it_is() -> None:
    engine, generation = _generate("ab" + END, "-", overrun=4)
    assert (generation.text, generation.finish_reason) == ("ab", FinishReason.END)
    _, limited = _generate("abcdef", "-", overrun=4, max_tokens=3)
    assert (limited.text, limited.finish_reason) == ("abc", FinishReason.LENGTH)
    assert engine.observed is not None
    assert engine.observed.overrun_ms < 1000


def test_every_generation_pays_for_its_whole_prompt() -> None:
    engine = OverrunEngine(ScriptedEngine(lambda _: "a" + END), 0)
    costs = [
        engine.generate(Prompt((), "same"), SamplingParams(), CancelToken(), [lambda _: True])[0].timings
        for _ in range(2)
    ]
    assert [cost.evaluated_tokens for cost in costs] == [4, 4]


def test_a_retry_goes_on_where_the_first_left_and_is_not_observed() -> None:
    engine = OverrunEngine(ScriptedEngine(Script(lambda _: "a" + END, lambda _: ["b" + END])), 0)
    prompt, listen = Prompt((), "same"), [lambda _: True]
    engine.generate(prompt, SamplingParams(), CancelToken(), listen)
    (other,) = engine.generate(prompt, SamplingParams(excluded_prefix="a"), CancelToken(), listen)
    assert (other.text, other.timings.evaluated_tokens) == ("b", 0)
    assert engine.observed is not None
    assert engine.observed.written == "a"


def test_other_answers_come_through_and_the_first_is_observed_to_its_end() -> None:
    inner = ScriptedEngine(Script(lambda _: "abcdef" + END, lambda _: ["xyz" + END]))
    engine = OverrunEngine(inner, overrun=9)
    passed: list[str] = []

    def stop_after_two(token: StreamedToken) -> bool:
        passed.append(token.text)
        return len(passed) < 2

    generations = engine.generate(
        Prompt((), "x = "), SamplingParams(64), CancelToken(), (stop_after_two, lambda _: True)
    )
    assert [generation.text for generation in generations] == ["ab", "xyz"]
    assert engine.observed is not None
    assert (engine.observed.written, engine.observed.finish) == ("abcdef", FinishReason.END)
