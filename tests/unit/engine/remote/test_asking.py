"""Answers in several requests: tokens of a cut word one by one, and one instead of an unlikely end."""

from __future__ import annotations

import pytest

from fim_lsp.engine.scripted import END
from fim_lsp.types import FinishReason, Prompt
from tests.stand_in_server import ByteVocabulary, StandInServer, WordTokenizer
from tests.unit.engine.remote.test_engine import run

APP = WordTokenizer(words=(" app", "ly"))


def app_prompt(tail: str, **options) -> Prompt:
    return Prompt(APP.encode("for x in y:\n    z ="), tail, heal=True, **options)


def test_the_cut_word_is_spelled_in_the_tokenizers_own_tokens(open_stand_in):
    """The stand-in's likeliest token for `` app`` is a blank, which is no token of the tokenizer there."""
    engine, server = open_stand_in(
        StandInServer(tokens=APP, answer=lambda _: "le + 1"), ByteVocabulary(tokenizer=APP)
    )
    engine.connect()
    heard = []
    generation = run(engine, app_prompt(" app"), on_token=lambda token: heard.append(token.text) or True)
    first, second = (request.body for request in server.completions)
    word = APP.encode(" app")[0]
    assert (first["n_predict"], first["logit_bias"]) == (1, [[ord(" "), False]])
    assert first["grammar"].startswith('root ::= " app"')
    assert second["prompt"] == [*first["prompt"], word]
    assert "grammar" not in second
    assert "logit_bias" not in second
    assert second["n_predict"] == 63
    assert generation.text == "".join(heard) == "le + 1"


def test_tokens_that_are_asked_for_one_by_one_count_once(open_stand_in):
    engine, _ = open_stand_in(StandInServer(tokens=APP, answer=lambda _: "le"), ByteVocabulary(tokenizer=APP))
    engine.connect()
    prompt = app_prompt(" app")
    timings = run(engine, prompt).timings
    assert (timings.evaluated_tokens, timings.reused_tokens) == (len(prompt.head) + 1, 0)
    assert timings.generated_tokens == 3


@pytest.mark.parametrize("limit", range(5))
@pytest.mark.parametrize(("tail", "of_word"), [(" app", 1), (" apply", 2)])
def test_the_tokens_of_the_cut_word_count_and_nothing_is_asked_for_beyond_the_limit(
    open_stand_in, tail, of_word, limit
):
    engine, server = open_stand_in(
        StandInServer(tokens=APP, answer=lambda _: "[1] + 2"), ByteVocabulary(tokenizer=APP)
    )
    engine.connect()
    generation = run(engine, app_prompt(tail), max_tokens=limit)
    asked = [request.body["n_predict"] for request in server.completions]
    assert asked == [1] * min(limit, of_word) + [limit - of_word] * (limit > of_word)
    assert generation.text == "[1] + 2"[: max(0, limit - of_word)]
    assert generation.finish_reason is FinishReason.LENGTH
    assert len(generation.probabilities) == limit


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_nothing_is_asked_for_beyond_the_limit_behind_an_end_that_is_not_taken(open_stand_in, limit):
    engine, server = open_stand_in(
        StandInServer(tokens=APP, answer=lambda _: "", instead_of_end="[1] + 2"),
        ByteVocabulary(tokenizer=APP),
    )
    engine.connect()
    prompt = Prompt(APP.encode("x = app"), "", stop_ids=frozenset({APP.special(END)}))
    run(engine, prompt, max_tokens=limit)
    asked = [request.body["n_predict"] for request in server.completions]
    assert asked == [limit, 1, *([limit - 1] if limit > 1 else [])]


def test_a_word_that_no_other_tokens_begin_takes_one_request(open_stand_in):
    engine, server = open_stand_in(StandInServer(answer=lambda _: "le"), ByteVocabulary())
    engine.connect()
    assert run(engine, app_prompt(" app")).text == "le"
    assert len(server.completions) == 1


def test_an_unlikely_end_before_any_text_is_not_taken_as_in_process(open_stand_in):
    end = APP.special(END)
    engine, server = open_stand_in(
        StandInServer(tokens=APP, answer=lambda _: "", instead_of_end="ly"), ByteVocabulary(tokenizer=APP)
    )
    engine.connect()
    prompt = Prompt(APP.encode("x = app"), "", stop_ids=frozenset({end}))
    assert run(engine, prompt).text.startswith("l")
    first, second, *_ = (request.body for request in server.completions)
    assert "logit_bias" not in first
    banned = {token for token, _ in second["logit_bias"]}
    assert end in banned
    assert not banned & set(range(256))


def test_a_likely_end_before_any_text_is_taken(open_stand_in):
    engine, server = open_stand_in(StandInServer(answer=lambda _: ""), ByteVocabulary())
    engine.connect()
    generation = run(engine, Prompt(APP.encode("x = "), "", stop_ids=frozenset({APP.special(END)})))
    assert (generation.text, generation.finish_reason) == ("", FinishReason.END)
    assert len(server.completions) == 1


def test_a_token_that_is_half_a_character_is_not_taken(open_stand_in):
    """Nothing is handed on of it; the word is sent as it stands."""
    tokens = WordTokenizer(words=(" app",))
    engine, server = open_stand_in(
        StandInServer(tokens=APP, answer=lambda _: "le"), ByteVocabulary(tokenizer=tokens)
    )
    engine.connect()
    # The server's model has another word under this id than the file says.
    server.tokens = WordTokenizer(words=(" appl",))
    heard = []
    generation = run(engine, app_prompt(" app"), on_token=lambda token: heard.append(token.text) or True)
    assert server.completions[-1].body["prompt"][-1] == tokens.encode(" app")[0]
    assert generation.text == "".join(heard) == "le"
