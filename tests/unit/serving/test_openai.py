from __future__ import annotations

import json
from typing import Any

import pytest

from fim_lsp.engine.scripted import END
from tests.unit.serving.conftest import RunningServer, until


def _events(text: str) -> list[Any]:
    data = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [part if part == "[DONE]" else json.loads(part) for part in data]


PLAIN = {"prompt": {"layout": "plain"}}


async def test_suffix_becomes_the_models_own_template(serve):
    server = await serve(wire=PLAIN)
    reply = await server.complete(prompt="def f():\n    ", suffix="\nf()\n", max_tokens=20)
    assert reply["choices"][0]["text"] == "return 1"
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert server.prompts == ["<|fim_prefix|>def f():\n    <|fim_suffix|>\nf()\n<|fim_middle|>"]


async def test_text_without_a_suffix_is_continued_as_it_is(serve):
    server = await serve()
    await server.text(prompt="a = ")
    assert server.prompts == ["a = "]


async def test_markers_in_a_plain_text_stay_text(serve):
    server = await serve()
    await server.text(prompt='x = "<|fim_middle|>"', suffix="\n")
    # The one in the text was encoded as bytes, so the tokens that were evaluated are more than the markers.
    assert len(server.evaluated) > len('x = "<|fim_middle|>"')


RENDERED = (
    "<|fim_prefix|>a<|fim_suffix|>c<|fim_middle|>",
    "<fim_prefix>a<fim_suffix>c<fim_middle>",
    "<PRE> a <SUF>c <MID>",
    "[SUFFIX]c[PREFIX]a",
    "<｜fim▁begin｜>a<｜fim▁hole｜>c<｜fim▁end｜>",
    "<[fim-suffix]>c<[fim-prefix]>a<[fim-middle]>",
)


async def test_prompt_of_any_family_is_laid_out_for_the_loaded_model(serve):
    server = await serve(wire=PLAIN)
    for rendered in RENDERED:
        await server.text(prompt=rendered)
        assert server.prompts.pop() == "<|fim_prefix|>a<|fim_suffix|>c<|fim_middle|>"


async def test_stream_ends_in_done_and_spells_the_same_text(serve):
    server = await serve("one two three")
    whole = await server.text(prompt="a", suffix="b")
    answer = await server.post(
        "/v1/completions", prompt="a", suffix="b", stream=True, stream_options={"include_usage": True}
    )
    assert answer.headers["content-type"].startswith("text/event-stream")
    *events, usage, done = _events(answer.text)
    assert done == "[DONE]"
    assert "".join(event["choices"][0]["text"] for event in events) == whole == "one two three"
    assert [event["choices"][0]["finish_reason"] for event in events][-1] == "stop"
    assert usage["usage"]["completion_tokens"] == len("one two three")
    assert usage["choices"] == []


async def test_stop_strings_end_the_text_in_front_of_them(serve):
    server = await serve("one\ntwo\nthree")
    assert await server.text(prompt="a", stop=["wo\nth", "\nthree"]) == "one\nt"
    assert await server.text(prompt="a", stop="\n") == "one"
    answer = await server.post("/v1/completions", prompt="a", stop=["wo\nth"], stream=True)
    texts = [event["choices"][0]["text"] for event in _events(answer.text)[:-1]]
    assert "".join(texts) == "one\nt"


async def test_max_tokens_is_the_finish_reason_length(serve):
    server = await serve("abcdef")
    reply = await server.complete(prompt="x", max_tokens=3)
    assert reply["choices"][0]["text"] == "abc"
    assert reply["choices"][0]["finish_reason"] == "length"
    assert reply["usage"]["completion_tokens"] == 3


async def test_no_tokens_only_evaluate_the_prompt(serve):
    server = await serve()
    reply = await server.complete(prompt="abc", max_tokens=0)
    assert reply["choices"][0]["text"] == ""
    assert server.prompts == []
    assert reply["usage"]["prompt_tokens"] == 3


async def test_several_choices_differ(serve):
    server = await serve("first")
    server.script.alternatives = lambda _: [f"second{END}", f"third{END}"]
    reply = await server.complete(prompt="x", n=3)
    assert [choice["text"] for choice in reply["choices"]] == ["first", "second", "third"]
    assert [choice["index"] for choice in reply["choices"]] == [0, 1, 2]


async def test_list_of_prompts_has_a_choice_each(serve):
    server = await serve(lambda prompt: prompt.upper())
    reply = await server.complete(prompt=["ab", "cd"], n=1)
    assert [choice["text"] for choice in reply["choices"]] == ["AB", "CD"]
    assert [choice["index"] for choice in reply["choices"]] == [0, 1]


async def test_token_ids_are_evaluated_as_they_are(serve):
    server = await serve(lambda prompt: prompt.upper())
    assert await server.text(prompt=list(b"abc")) == "ABC"
    reply = await server.complete(prompt=[list(b"abc"), list(b"x")])
    assert [choice["text"] for choice in reply["choices"]] == ["ABC", "X"]


async def test_echo_puts_the_prompt_in_front(serve):
    server = await serve("b")
    assert await server.text(prompt="a", echo=True) == "ab"
    answer = await server.post("/v1/completions", prompt="a", echo=True, stream=True)
    assert "".join(event["choices"][0]["text"] for event in _events(answer.text)[:-1]) == "ab"


async def test_logprobs_are_those_of_the_chosen_tokens(serve):
    server = await serve("ab")
    server.script.probability = 0.5
    reply = await server.complete(prompt="x", logprobs=1)
    logprobs = reply["choices"][0]["logprobs"]
    assert logprobs["tokens"] == ["a", "b"]
    assert logprobs["token_logprobs"] == pytest.approx([-0.6931, -0.6931], abs=1e-3)
    assert logprobs["text_offset"] == [0, 1]


async def test_typing_on_evaluates_only_what_was_typed(serve):
    server = await serve()
    above, below = "x = 1\n" * 60, "\ny = 2\n" * 20
    first = await server.complete(prompt=above + "def f", suffix=below, max_tokens=4)
    again = await server.complete(prompt=above + "def fo", suffix=below, max_tokens=4)
    assert first["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    cached = again["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert cached >= len(above)


async def test_filters_complete_as_the_editor_does(serve):
    server = await serve("1)\n\n\nprint(2)\n")
    raw = await server.text(prompt="f(", suffix=")\n")
    filtered = await server.text(prompt="f(", suffix=")\n", filters=True)
    assert raw.startswith("1)\n\n\nprint")
    assert filtered == "1"


async def test_filters_may_be_asked_for_in_the_address(serve):
    server = await serve("1)\n\n\nprint(2)\n")
    answer = await server.post("/v1/completions?filters=true", prompt="f(", suffix=")\n")
    assert answer.json()["choices"][0]["text"] == "1"
    refused = await server.post("/v1/completions?filters=perhaps", prompt="f(", suffix=")\n")
    assert refused.status_code == 400


REFUSED = (
    ({"prompt": "a", "best_of": 3}, "best_of"),
    ({"prompt": "a", "logprobs": 5}, "logprobs"),
    ({"prompt": "a", "presence_penalty": 0.5}, "presence_penalty"),
    ({"prompt": "a", "logit_bias": {"1": 2}}, "logit_bias"),
    ({"prompt": "a", "suffx": "b"}, "suffx"),
    ({"prompt": "a", "unknown": None}, "unknown"),
    ({"prompt": "a", "max_tokens": -1}, "max_tokens"),
    ({"prompt": "a", "max_tokens": True}, "max_tokens"),
    ({"prompt": "a", "temperature": "hot"}, "temperature"),
    ({"prompt": "a", "n": 99}, "n"),
    ({"prompt": "a", "stop": [1]}, "stop"),
    ({"prompt": "a", "stop": ["x"] * 99}, "stop"),
    ({"prompt": 7}, "prompt"),
    ({"prompt": []}, "prompt"),
    ({"prompt": [[]]}, "prompt"),
    ({"prompt": ["a"] * 99}, "prompt"),
    ({"prompt": [-1]}, "prompt"),
    ({}, "prompt"),
    ({"prompt": [1], "suffix": "b"}, "suffix"),
    ({"prompt": "a", "stream_options": {"x": 1}}, "stream_options.x"),
    ({"prompt": "a", "echo": True, "logprobs": 1}, "echo"),
    ({"prompt": "a", "lora": [{"id": 7, "scale": 1}]}, "lora"),
)


async def test_what_is_not_supported_is_refused_by_name(serve):
    server = await serve()
    for fields, param in REFUSED:
        answer = await server.post("/v1/completions", fields)
        assert answer.status_code == 400, fields
        error = answer.json()["error"]
        assert error["param"] == param
        assert error["type"] == "invalid_request_error"
        assert error["message"]
    assert server.prompts == []


async def test_neutral_values_of_unsupported_fields_pass(serve):
    server = await serve()
    assert await server.text(
        prompt="a",
        presence_penalty=0,
        frequency_penalty=0.0,
        logit_bias={},
        best_of=1,
        user="me",
        logprobs=None,
    )


async def test_rendered_prompt_that_is_not_understood_is_refused(serve):
    server = await serve()
    answer = await server.post("/v1/completions", prompt="<|fim_prefix|>a<|fim_suffix|>b")
    assert answer.status_code == 400
    assert "<|fim_middle|>" in answer.json()["error"]["message"]


async def test_prompt_over_the_context_is_refused(serve):
    server: RunningServer = await serve()
    answer = await server.post("/v1/completions", prompt="x" * 5000)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"
    # With a hole, the server chooses what fits.
    assert await server.text(prompt="x\n" * 5000, suffix="y\n" * 5000)


async def test_models_list_the_base_and_its_names(serve):
    server = await serve(aliases=("codestral:here",))
    listed = (await server.client.get("/v1/models")).json()["data"]
    assert [model["id"] for model in listed] == ["codestral:here", "default"]
    assert {model["parent"] for model in listed} == {None}
    assert await server.text(prompt="a", model="default")
    assert await server.text(prompt="a", model="codestral:here")


async def test_unknown_model_is_refused_with_the_known_ones(serve):
    server = await serve()
    answer = await server.post("/v1/completions", prompt="a", model="gpt-9")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"
    assert "default" in answer.json()["error"]["message"]


async def test_seeds_are_followed_and_choices_have_seeds_of_their_own(serve):
    server = await serve("abc")
    reply = await server.complete(prompt="x", temperature=1, n=2, seed=3)
    assert [choice["index"] for choice in reply["choices"]] == [0, 1]
    assert len(server.prompts) == 2
    await until(lambda: not server.service.model.queue.running)
