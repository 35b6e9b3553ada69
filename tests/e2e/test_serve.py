"""``fim-lsp serve`` with the real model, used by real clients: the ``openai`` package and curl."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
import pytest_asyncio

from fim_lsp.files import sha256_of
from tests.conftest import MODEL
from tests.e2e.served import ServedProcess, start_serving
from tests.lora_file import write_lora

pytestmark = pytest.mark.model

BEFORE, AFTER = "def area(width, height):\n    return ", "\n\n\nprint(area(2, 3))\n"
TOKEN = "a-token-for-these-tests"


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def loras(model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("loras")
    digest = sha256_of(model_path)
    return {
        name: write_lora(folder / f"{name}.gguf", model_path, seed=seed, base_sha256=digest)
        for seed, name in enumerate(("style", "tests"))
    }


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def served(loras: dict[str, Path]) -> AsyncIterator[ServedProcess]:
    env = {"LORA_ADAPTERS": f"tests={loras['tests']}", "FIM_LSP_SERVE_TOKEN": TOKEN}
    async with start_serving(
        MODEL, "--adapter", f"style={loras['style']}", "--runtime-adapters", env=env
    ) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def client(served: ServedProcess) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key=TOKEN, max_retries=0) as made:
        yield made


async def _complete(client: openai.AsyncOpenAI, model: str = MODEL, **fields: Any) -> Any:
    wanted = {"prompt": BEFORE, "suffix": AFTER, "max_tokens": 12, "temperature": 0, **fields}
    return await client.completions.create(model=model, **wanted)


async def test_openai_package_completes_streams_and_chooses_adapters(client):
    plain = await _complete(client)
    assert plain.choices[0].text
    assert plain.usage.completion_tokens <= 12
    streamed = [chunk async for chunk in await _complete(client, stream=True)]
    assert "".join(chunk.choices[0].text for chunk in streamed) == plain.choices[0].text
    assert streamed[-1].choices[0].finish_reason == plain.choices[0].finish_reason
    style, tests = await _complete(client, "style"), await _complete(client, "tests")
    texts = {plain.choices[0].text, style.choices[0].text, tests.choices[0].text}
    assert len(texts) == 3
    # Nothing that was evaluated under one adapter was used under another.
    assert style.usage.prompt_tokens_details.cached_tokens == 0
    assert tests.usage.prompt_tokens_details.cached_tokens == 0
    assert (await _complete(client)).choices[0].text == plain.choices[0].text
    several = await _complete(client, n=2, logprobs=1)
    assert several.choices[0].text != several.choices[1].text
    assert several.choices[0].logprobs.token_logprobs[0] <= 0


async def test_openai_package_lists_models_and_reads_errors(client):
    listed = {model.id: model.parent async for model in await client.models.list()}
    assert listed == {MODEL: None, "style": MODEL, "tests": MODEL}
    with pytest.raises(openai.NotFoundError, match="style"):
        await _complete(client, "missing")
    with pytest.raises(openai.BadRequestError, match="logprobs"):
        await _complete(client, logprobs=5)
    with pytest.raises(openai.BadRequestError, match="context window"):
        await client.completions.create(model=MODEL, prompt="x = 1\n" * 3000)
    with pytest.raises(openai.BadRequestError, match="no token"):
        await client.completions.create(model=MODEL, prompt=[1, 2, 99_999_999])
    with pytest.raises(openai.AuthenticationError):
        await _complete(client.with_options(api_key="another-token-than-it"))


async def test_cancel_of_a_stream_frees_the_model_at_once(client, served):
    stream = await _complete(client, prompt="x = 1\n" * 300, max_tokens=512, stream=True)
    async for _ in stream:
        break
    await stream.close()
    # Had the 512 tokens gone on, this would have waited for seconds; what it finds is an idle queue.
    await _complete(client, max_tokens=1)
    metrics = await _curl(served, "/metrics")
    generated = float(metrics.split('fim_lsp_tokens_total{kind="generated"} ')[1].split("\n")[0])
    assert generated < 512


async def test_adapter_of_another_base_is_refused_with_its_hash(client, served, model_path, tmp_path):
    odd = write_lora(tmp_path / "odd.gguf", model_path, base_sha256="0" * 64, base_name="another")
    body = {"lora_name": "odd", "lora_path": str(odd)}
    refused = json.loads(await _curl(served, "/v1/load_lora_adapter", body))
    assert "000000000000" in refused["error"]["message"]
    assert "another" in refused["error"]["message"]
    with pytest.raises(openai.NotFoundError):
        await _complete(client, "odd")


async def test_each_adapter_was_logged_as_it_loaded(served):
    lines = [line for line in served.log if "Serving the adapter" in line]
    assert ["style" in line for line in lines] == [True, False]
    assert TOKEN not in "\n".join(served.log)
    assert "area" not in "\n".join(served.log)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_speaks_every_protocol(served):
    hole = {"input_prefix": BEFORE, "input_suffix": AFTER, "n_predict": 12}
    infill = json.loads(await _curl(served, "/infill", hole))["content"]
    suffix = {"prompt": BEFORE, "suffix": AFTER}
    options = {"options": {"num_predict": 12}, "stream": False}
    ollama = json.loads(await _curl(served, "/api/generate", {**suffix, **options}))["response"]
    assert infill == ollama != ""
    rendered = f"<fim_prefix>{BEFORE}<fim_suffix>{AFTER}<fim_middle>"
    parameters = {"inputs": rendered, "parameters": {"max_new_tokens": 12}}
    assert json.loads(await _curl(served, "/generate", parameters))["generated_text"] == infill
    events = await _curl(served, "/v1/completions", {**suffix, "max_tokens": 12, "stream": True})
    assert events.rstrip().endswith("data: [DONE]")
    assert "<textarea" in await _curl(served, "/docs")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_streams_and_chooses_adapters_by_name(served):
    hole = {"prompt": BEFORE, "suffix": AFTER, "max_tokens": 12, "temperature": 0}

    async def text(**fields: Any) -> str:
        return json.loads(await _curl(served, "/v1/completions", {**hole, **fields}))["choices"][0]["text"]

    plain = await text()
    assert len({plain, await text(model="style"), await text(model="tests")}) == 3
    lines = (await _curl(served, "/v1/completions", {**hole, "stream": True})).split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    events = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    pieces = [choice["text"] for event in events for choice in event["choices"]]
    assert "".join(pieces) == plain
    assert len([piece for piece in pieces if piece]) > 1


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("streamed", [False, True])
async def test_curl_that_is_killed_ends_its_generation(served, streamed):
    """Each of the tokens that the killed one asked for would otherwise be generated."""
    before = await _metric(served, "fim_lsp_cancelled_total")
    generated = await _metric(served, 'fim_lsp_tokens_total{kind="generated"}')
    body = {"prompt": "x = 1\n" * 300, "max_tokens": 512, "stream": streamed}
    curl = await asyncio.create_subprocess_exec(
        *_curl_command(served, "/v1/completions", body), stdout=asyncio.subprocess.DEVNULL
    )
    await asyncio.wait_for(_runs(served, 1), 60)
    curl.kill()
    await curl.wait()
    await asyncio.wait_for(_runs(served, 0), 60)
    assert await _metric(served, "fim_lsp_cancelled_total") == before + 1
    assert await _metric(served, 'fim_lsp_tokens_total{kind="generated"}') - generated < 512


async def _runs(served: ServedProcess, count: int) -> None:
    while await _metric(served, "fim_lsp_running") != count:
        await asyncio.sleep(0.05)


async def _metric(served: ServedProcess, name: str) -> float:
    text = await _curl(served, "/metrics")
    return float(text.split(f"\n{name} ")[1].split("\n")[0])


async def _curl(served: ServedProcess, path: str, body: Any = None) -> str:
    process = await asyncio.create_subprocess_exec(
        *_curl_command(served, path, body), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return output.decode()


def _curl_command(served: ServedProcess, path: str, body: Any = None) -> list[str]:
    data = [] if body is None else ["--data", json.dumps(body)]
    always = ["curl", "--silent", "--no-buffer", "--max-time", "60", f"{served.url}{path}"]
    return [*always, "--header", f"Authorization: Bearer {TOKEN}", *data]


async def test_code_of_a_workspace_votes_on_filtered_completions(tmp_path):
    arguments = 'fetch_entries("eu"), quarter=4, drift_ppm=250)'
    functions = (
        f"def {name}(store):\n    drifted = reconcile_ledger(store.{arguments}\n    return drifted\n"
        for name in ("monthly", "yearly", "daily")
    )
    (tmp_path / "ledger.py").write_text("\n\n".join(functions))
    hole = {
        "input_prefix": "def weekly(store):\n    drifted = reconcile_ledger(store.",
        "input_suffix": "\n    return len(drifted)\n",
        "path": "weekly.py",
        "n_predict": 32,
    }
    async with start_serving("default", "--workspace", str(tmp_path), "--filters") as served:
        while "fim_lsp_index_ready 1.0" not in await _curl(served, "/metrics"):
            await asyncio.sleep(0.1)
        voted = json.loads(await _curl(served, "/infill", hole))["content"]
        own = json.loads(await _curl(served, "/infill", {**hole, "filters": False}))["content"]
    assert voted == arguments
    assert own != arguments
