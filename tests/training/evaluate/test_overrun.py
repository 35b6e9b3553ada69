from __future__ import annotations

import pytest

from fim_lsp.engine.base import CancelToken
from fim_lsp.engine.scripted import END, Script, ScriptedEngine
from fim_lsp.types import FinishReason, Generation, Prompt, SamplingParams, StreamedToken
from training.evaluate.overrun import OverrunEngine


def _ask(said: str, enough: str, overrun: int, max_tokens: int = 64) -> tuple[OverrunEngine, Generation]:
    heard: list[str] = []

    def on_token(piece: StreamedToken) -> bool:
        heard.append(piece.text)
        return "".join(heard) != enough

    witness = OverrunEngine(ScriptedEngine(lambda _: said), overrun)
    prompt = Prompt(head=(), tail="x = ")
    (generation,) = witness.generate(prompt, SamplingParams(max_tokens), CancelToken(), [on_token])
    assert "".join(heard) == generation.text
    return witness, generation


def test_the_model_ends_by_itself_after_the_server_has_heard_enough() -> None:
    witness, generation = _ask("abc\ndef" + END, "abc", overrun=10)
    assert (generation.text, generation.finish_reason) == ("abc", FinishReason.STOPPED)
    assert generation.timings.generated_tokens == len(generation.probabilities) == 3
    assert witness.seen is not None
    assert (witness.seen.written, witness.seen.finish) == ("abc\ndef", FinishReason.END)


@pytest.mark.parametrize(("overrun", "written"), [(0, "abc"), (2, "abcde")])
def test_it_gets_no_more_than_the_overrun(overrun: int, written: str) -> None:
    witness, generation = _ask("abcdefgh", "abc", overrun)
    assert generation.text == "abc"
    assert witness.seen is not None
    assert (witness.seen.written, witness.seen.finish) == (written, FinishReason.STOPPED)


def test_an_answer_nobody_stopped_comes_through_as_it_is() -> None:
    witness, generation = _ask("ab" + END, "-", overrun=4)
    assert (generation.text, generation.finish_reason) == ("ab", FinishReason.END)
    _, limited = _ask("abcdef", "-", overrun=4, max_tokens=3)
    assert (limited.text, limited.finish_reason) == ("abc", FinishReason.LENGTH)
    assert witness.seen is not None
    assert witness.seen.idle_ms < 1000


def test_every_generation_pays_for_its_whole_prompt() -> None:
    witness = OverrunEngine(ScriptedEngine(lambda _: "a" + END), 0)
    costs = [
        witness.generate(Prompt((), "same"), SamplingParams(), CancelToken(), [lambda _: True])[0].timings
        for _ in range(2)
    ]
    assert [cost.evaluated_tokens for cost in costs] == [4, 4]


def test_a_second_try_goes_on_where_the_first_left_and_is_not_what_is_seen() -> None:
    witness = OverrunEngine(ScriptedEngine(Script(lambda _: "a" + END, lambda _: ["b" + END])), 0)
    prompt, listen = Prompt((), "same"), [lambda _: True]
    witness.generate(prompt, SamplingParams(), CancelToken(), listen)
    (other,) = witness.generate(prompt, SamplingParams(excluded_prefix="a"), CancelToken(), listen)
    assert (other.text, other.timings.evaluated_tokens) == ("b", 1)
    assert witness.seen is not None
    assert witness.seen.written == "a"


def test_other_answers_come_through_and_the_first_is_seen_to_its_end() -> None:
    engine = ScriptedEngine(Script(lambda _: "abcdef" + END, lambda _: ["xyz" + END]))
    witness = OverrunEngine(engine, overrun=9)
    heard: list[str] = []

    def enough(piece: StreamedToken) -> bool:
        heard.append(piece.text)
        return len(heard) < 2

    said = witness.generate(Prompt((), "x = "), SamplingParams(64), CancelToken(), (enough, lambda _: True))
    assert [one.text for one in said] == ["ab", "xyz"]
    assert witness.seen is not None
    assert (witness.seen.written, witness.seen.finish) == ("abcdef", FinishReason.END)
