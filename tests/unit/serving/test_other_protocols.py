from __future__ import annotations

import json

import pytest

from fim_lsp.engine.scripted import END

PLAIN = {"prompt": {"layout": "plain"}}


# --- llama-server


async def test_infill_as_llama_vim_sends_it(serve):
    server = await serve("1\n", wire=PLAIN)
    answer = await server.post(
        "/infill",
        id_slot=0,
        input_prefix="def f():\n",
        input_suffix="\nf()\n",
        input_extra=[{"filename": "b.py", "text": "x = 1\n", "time": 3}],
        prompt="    return ",
        n_predict=64,
        stop=[],
        n_indent=0,
        top_k=40,
        top_p=0.9,
        samplers=["top_k", "top_p", "infill"],
        stream=False,
        cache_prompt=True,
        t_max_prompt_ms=500,
        t_max_predict_ms=1000,
        response_fields=["content", "timings/prompt_n", "truncated", "nothing/here"],
    )
    reply = answer.json()
    assert answer.status_code == 200
    assert (reply["content"], reply["truncated"]) == ("1\n", False)
    assert reply["timings/prompt_n"] > 0
    assert "nothing/here" not in reply
    (prompt,) = server.prompts
    assert prompt.endswith("<|fim_prefix|>def f():\n    return <|fim_suffix|>\nf()\n<|fim_middle|>")
    assert prompt.startswith("<|file_sep|>b.py\nx = 1\n")
    # llama.vim looks for this with a pattern that allows no space.
    assert '"content":"' in answer.text


async def test_infill_without_tokens_warms_the_cache(serve):
    server = await serve()
    extra = [{"filename": "b.py", "text": "x = 1\n" * 20}]
    warmed = (await server.post("/infill", input_extra=extra, input_prefix="", n_predict=0)).json()
    assert warmed["content"] == ""
    assert server.prompts == []
    asked = (await server.post("/infill", input_extra=extra, input_prefix="y = ", n_predict=4)).json()
    assert asked["timings"]["cache_n"] >= 100


async def test_completion_of_llama_server_streams_without_done(serve):
    server = await serve("ab")
    answer = await server.post("/completion", prompt="x", n_predict=5, stream=True)
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert "".join(event["content"] for event in events) == "ab"
    assert [event["stop"] for event in events] == [False, False, True]
    assert events[-1]["stop_type"] == "eos"
    assert events[-1]["tokens_predicted"] == 2


async def test_lines_indented_less_than_n_indent_end_the_text(serve):
    server = await serve("a\n    b\nc")
    reply = (await server.post("/infill", input_prefix="x", n_indent=4)).json()
    assert reply["content"] == "a\n    b"


async def test_several_choices_are_a_list(serve):
    server = await serve("ab")
    server.script.alternatives = lambda _: [f"cd{END}"]
    replies = (await server.post("/completion", prompt="x", n_cmpl=2)).json()
    assert [reply["content"] for reply in replies] == ["ab", "cd"]


async def test_time_limit_ends_the_text_behind_a_line_break(serve):
    server = await serve("a\nbcdef")
    # The scripted engine counts a millisecond a token.
    assert (await server.post("/completion", prompt="x", t_max_predict_ms=1)).json()["content"] == "a\n"


async def test_facts_of_llama_server(serve):
    server = await serve()
    props = (await server.client.get("/props")).json()
    assert props["default_generation_settings"]["n_ctx"] == 4096
    assert len((await server.client.get("/slots")).json()) == props["total_slots"] == 4
    assert (await server.client.get("/health")).json() == {"status": "ok"}
    assert (await server.client.get("/lora-adapters")).json() == []


@pytest.mark.parametrize("field", ["grammar", "n_probs", "return_tokens", "mirostat", "n_predcit"])
async def test_llama_fields_that_would_change_the_text_are_refused(serve, field):
    server = await serve()
    answer = await server.post("/completion", {"prompt": "x", field: 1})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (400, 400, "invalid_request_error")
    assert field in error["message"]


# --- TGI


async def test_generate(serve):
    server = await serve("one\ntwo")
    parameters = {"max_new_tokens": 20, "stop": ["\n"], "details": True, "do_sample": False}
    reply = (await server.post("/generate", inputs="x", parameters=parameters)).json()
    assert reply["generated_text"] == "one"
    assert reply["details"]["finish_reason"] == "stop_sequence"
    assert [token["text"] for token in reply["details"]["tokens"]] == ["o", "n", "e", "\n"]
    full = await server.post("/generate", inputs="x", parameters={"return_full_text": True})
    assert full.json()["generated_text"] == "xone\ntwo"


async def test_generate_stream_ends_with_the_whole_text(serve):
    server = await serve("ab")
    answer = await server.post("/generate_stream", inputs="x", parameters={"max_new_tokens": 20})
    events = [json.loads(line[5:]) for line in answer.text.splitlines() if line.startswith("data:")]
    assert "".join(event["token"]["text"] for event in events) == "ab"
    assert [event["generated_text"] for event in events] == [None, None, "ab"]
    assert [event["index"] for event in events] == [1, 2, 3]


@pytest.mark.parametrize(
    "body",
    [{}, {"inputs": ""}, {"inputs": "x", "parameters": {"best_of": 2}}, {"inputs": "x", "parameters": 3}],
)
async def test_errors_have_tgis_shape(serve, body):
    server = await serve()
    answer = await server.post("/generate", body)
    assert answer.status_code == 400
    assert answer.json()["error_type"] == "validation"
    assert isinstance(answer.json()["error"], str)


# --- Ollama


async def test_ollama_streams_lines_by_default(serve):
    server = await serve("ab", wire=PLAIN)
    answer = await server.post("/api/generate", model="default:latest", prompt="x", suffix="y")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["response"] for line in lines] == ["a", "b", ""]
    assert [line["done"] for line in lines] == [False, False, True]
    assert lines[-1]["done_reason"] == "stop"
    assert lines[-1]["eval_count"] == 2
    assert server.prompts == ["<|fim_prefix|>x<|fim_suffix|>y<|fim_middle|>"]


async def test_ollama_as_zed_asks(serve):
    server = await serve("ab", wire=PLAIN)
    answer = await server.post(
        "/api/generate",
        model="default",
        prompt="<|fim_prefix|>x<|fim_suffix|>y<|fim_middle|>",
        raw=True,
        stream=False,
        options={"num_predict": 64, "stop": ["<|endoftext|>"], "temperature": 0.0, "num_ctx": 4096},
    )
    assert answer.json()["response"] == "ab"
    assert server.prompts == ["<|fim_prefix|>x<|fim_suffix|>y<|fim_middle|>"]


async def test_ollama_lists_models_and_its_errors_are_texts(serve):
    server = await serve()
    assert [model["name"] for model in (await server.client.get("/api/tags")).json()["models"]] == ["default"]
    assert (await server.client.get("/api/version")).json()["version"]
    answer = await server.post("/api/generate", model="gone", prompt="x")
    assert answer.status_code == 404
    assert "gone" in answer.json()["error"]
    answer = await server.post("/api/generate", prompt="x", options={"num_prdict": 3})
    assert (answer.status_code, "num_prdict" in answer.json()["error"]) == (400, True)


# --- For people


async def test_page_and_description(serve):
    server = await serve()
    page = await server.client.get("/docs")
    assert "<textarea" in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    described = (await server.client.get("/openapi.json")).json()
    for path, methods in described["paths"].items():
        for method in methods:
            answer = await server.client.request(method.upper(), path)
            assert answer.status_code != 404, path


async def test_metrics_count_tokens_and_requests(serve):
    server = await serve("ab")
    await server.text(prompt="xyz")
    text = (await server.client.get("/metrics")).text
    assert 'fim_lsp_requests_total{endpoint="/v1/completions",status="200"} 1.0' in text
    assert 'fim_lsp_tokens_total{kind="evaluated"} 3.0' in text
    assert 'fim_lsp_tokens_total{kind="generated"} 2.0' in text
    assert "fim_lsp_waiting 0.0" in text


async def test_unknown_paths_and_methods(serve):
    server = await serve()
    assert (await server.client.get("/v1/chat/completions")).status_code == 404
    answer = await server.client.get("/v1/completions")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "not_found")
