from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from fim_lsp.serving.adapter_registry import AdapterNameError, parse_adapter, parse_adapters
from tests.unit.serving.conftest import adapter, until

STYLE, TESTS = adapter("style", 0), adapter("tests", 1, 0.5)


async def test_chosen_by_model_and_adapter_id_and_numbers(serve):
    server = await serve("a", adapters=(STYLE, TESTS))
    assert await server.text(prompt="x") == "a"
    assert await server.text(prompt="x", model="style") == "a  # style"
    assert await server.text(prompt="x", model="default") == "a"
    assert await server.text(prompt="x", lora=[{"id": 1, "scale": 1}]) == "a  # tests"
    both = [{"id": 0, "scale": 1}, {"id": 1, "scale": 0.5}]
    assert await server.text(prompt="x", lora=both) == "a  # style  # tests"
    assert await server.text(prompt="x", lora=[{"id": 0, "scale": 0}]) == "a"
    answer = await server.post("/generate", inputs="x", parameters={"adapter_id": "tests"})
    assert answer.json()["generated_text"] == "a  # tests"
    answer = await server.post("/infill", input_prefix="x", lora=[{"id": 0, "scale": 1}])
    assert answer.json()["content"] == "a  # style"
    answer = await server.post("/api/generate", model="style", prompt="x", stream=False)
    assert answer.json()["response"] == "a  # style"


async def test_listed_with_their_parent(serve):
    server = await serve(adapters=(STYLE, TESTS))
    listed = (await server.client.get("/v1/models")).json()["data"]
    parents = {model["id"]: model["parent"] for model in listed}
    assert parents == {"default": None, "style": "default", "tests": "default"}
    numbered = (await server.client.get("/lora-adapters")).json()
    assert [(each["id"], each["name"], each["scale"]) for each in numbered] == [
        (0, "style", 0),
        (1, "tests", 0),
    ]
    # Folders of this machine are not told.
    assert {each["path"] for each in numbered} == {"style.gguf", "tests.gguf"}


async def test_default_adapter_answers_requests_without_a_choice(serve):
    server = await serve("a", adapters=(STYLE, TESTS), default_adapter="tests")
    assert await server.text(prompt="x") == "a  # tests"
    assert await server.text(prompt="x", model="default") == "a"


async def test_nothing_evaluated_under_one_adapter_is_used_under_another(serve):
    server = await serve("a", adapters=(STYLE, TESTS))

    async def cached(**fields: object) -> int:
        reply = await server.complete(prompt="text " * 40, max_tokens=2, **fields)
        return int(reply["usage"]["prompt_tokens_details"]["cached_tokens"])

    assert await cached(model="style") == 0
    assert await cached(model="tests") == 0
    assert await cached() == 0
    assert await cached(lora=[{"id": 0, "scale": 0.5}]) == 0
    assert await cached(model="style") > 100


async def test_each_is_logged_as_it_loads(serve, caplog):
    with caplog.at_level(logging.INFO, "fim_lsp"):
        await serve(adapters=(STYLE, TESTS))
    lines = [record.getMessage() for record in caplog.records if "adapter" in record.getMessage()]
    assert lines == [
        "Serving the adapter style (/adapters/style.gguf, scale 1)",
        "Serving the adapter tests (/adapters/tests.gguf, scale 0.5)",
    ]


async def test_changes_need_the_flag(serve):
    server = await serve(adapters=(STYLE,))
    for path, fields in (
        ("/v1/load_lora_adapter", {"lora_name": "b", "lora_path": "/b.gguf"}),
        ("/v1/unload_lora_adapter", {"lora_name": "style"}),
        ("/lora-adapters", []),
    ):
        answer = await server.client.post(path, json=fields)
        assert answer.status_code == 403
        assert "--runtime-adapters" in answer.text
    assert await server.text(prompt="x", model="style")


async def test_loaded_and_unloaded_while_it_runs(serve):
    server = await serve("a", adapters=(STYLE,), runtime_adapters=True)
    server.script.adapters = {**server.script.adapters, Path("/b.gguf"): str.upper}
    loaded = await server.post("/v1/load_lora_adapter", lora_name="big", lora_path="/b.gguf")
    assert loaded.status_code == 200
    assert (await server.text(prompt="x", model="big")).startswith("A")
    taken = await server.post("/v1/load_lora_adapter", lora_name="big", lora_path="/b.gguf")
    assert taken.status_code == 400
    assert (await server.post("/v1/unload_lora_adapter", lora_name="big")).status_code == 200
    assert (await server.post("/v1/completions", prompt="x", model="big")).status_code == 404
    assert (await server.post("/v1/unload_lora_adapter", lora_name="big")).status_code == 404


async def test_one_that_does_not_fit_is_refused_and_not_served(serve):
    server = await serve(runtime_adapters=True)
    answer = await server.post("/v1/load_lora_adapter", lora_name="odd", lora_path="/odd.gguf")
    assert answer.status_code == 400
    assert "/odd.gguf" in answer.json()["error"]["message"]
    assert [model["id"] for model in (await server.client.get("/v1/models")).json()["data"]] == ["default"]


async def test_one_that_does_not_fit_ends_the_start(serve):
    server = await serve(adapters=(STYLE,), known_adapters=())
    await until(lambda: server.failures)
    assert "/adapters/style.gguf" in str(server.failures[0])


async def test_scales_of_requests_without_a_choice(serve):
    server = await serve("a", adapters=(STYLE, TESTS), runtime_adapters=True)
    assert (await server.client.post("/lora-adapters", json=[{"id": 1, "scale": 0.7}])).status_code == 200
    assert await server.text(prompt="x") == "a  # tests"
    assert [each["scale"] for each in (await server.client.get("/lora-adapters")).json()] == [0, 0.7]
    assert (await server.client.post("/lora-adapters", json=[{"id": 9, "scale": 1}])).status_code == 400


async def test_request_keeps_an_adapter_that_is_unloaded_under_way(serve):
    server = await serve("a", adapters=(STYLE,), runtime_adapters=True)
    server.gate.clear()
    asked = asyncio.create_task(server.text(prompt="x", model="style"))
    await until(lambda: server.service.model.queue.running)
    unloaded = await server.post("/v1/unload_lora_adapter", lora_name="style")
    assert unloaded.status_code == 200
    server.gate.set()
    assert await asked == "a  # style"


async def test_other_name_for_lora_and_model_is_refused(serve):
    server = await serve(adapters=(STYLE, TESTS))
    answer = await server.post("/v1/completions", prompt="x", model="style", lora=[{"id": 1, "scale": 1}])
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "lora")


@pytest.mark.parametrize(
    ("text", "name", "path", "scale"),
    [
        ("a=/x/y.gguf", "a", "/x/y.gguf", 1.0),
        ("team/a=/x/y.gguf:0.5", "team/a", "/x/y.gguf", 0.5),
        ("a=/x:y/z.gguf", "a", "/x:y/z.gguf", 1.0),
    ],
)
def test_parse(text, name, path, scale):
    parsed = parse_adapter(text)
    assert (parsed.name, str(parsed.path), parsed.scale) == (name, path, scale)


@pytest.mark.parametrize("text", ["", "a", "=/x", "a=", "a b=/x", "a=/x:9", "a=/x:0"])
def test_what_names_no_adapter_is_refused(text):
    with pytest.raises(AdapterNameError, match="NAME=PATH"):
        parse_adapter(text)


def test_environment_and_flags_together():
    parsed = parse_adapters(["a=/a"], "b=/b:2, c=/c,")
    assert [(each.id, each.name, each.scale) for each in parsed] == [(0, "a", 1), (1, "b", 2), (2, "c", 1)]
    with pytest.raises(AdapterNameError, match="Two adapters"):
        parse_adapters(["a=/a"], "a=/b")
