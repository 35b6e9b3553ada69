"""The remote engine with a real llama-server: adapters by name, and a cancel that frees it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from fim_lsp.engine.base import AdapterError, CancelToken
from fim_lsp.engine.remote import RemoteEngine
from fim_lsp.types import AppliedAdapter, FinishReason, Prompt, SamplingParams
from tests.engine.conftest import CONTEXT, remote_engine
from tests.llama_server_process import LlamaServerProcess, find_llama_server
from tests.lora_file import write_lora

pytestmark = pytest.mark.model
CODE = "def area(width, height):\n    return "


@pytest.fixture(scope="module")
def server(model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServerProcess]:
    """Provide a llama-server with two adapters."""
    binary = find_llama_server()
    if binary is None:
        pytest.skip("there is no llama-server: build one with make bench, or set FIM_LSP_LLAMA_SERVER")
    folder = tmp_path_factory.mktemp("remote")
    loras = [
        write_lora(folder / f"{name}.gguf", model_path, seed=seed)
        for seed, name in enumerate(("style", "tests"))
    ]
    flags = [part for lora in loras for part in ("--lora", str(lora))]
    with LlamaServerProcess.start(binary, model_path, CONTEXT, folder, *flags) as started:
        yield started


@pytest.fixture
def engine(server: LlamaServerProcess) -> Iterator[RemoteEngine]:
    made = remote_engine(server.url)
    yield made
    made.close()


def text(engine: RemoteEngine, *adapters: tuple[str, float]) -> str:
    applied = tuple(AppliedAdapter(Path(), scale, name=name) for name, scale in adapters)
    prompt = Prompt(engine.tokenizer.encode(CODE), "", adapters=applied)
    (answer,) = engine.generate(prompt, SamplingParams(max_tokens=8), CancelToken(), [lambda _: True])
    return answer.text


def test_adapters_are_chosen_by_name_and_scale(engine):
    plain = text(engine)
    style, tests = text(engine, ("style", 1.0)), text(engine, ("tests", 1.0))
    assert len({plain, style, tests}) == 3
    assert text(engine, ("style", 4.0)) != style
    assert text(engine, ("style", 1.0), ("tests", 1.0)) not in (plain, "")
    # Nothing that was evaluated under an adapter is used without it.
    assert text(engine) == plain


def test_an_adapter_that_it_lacks_is_refused_by_name(engine):
    with pytest.raises(AdapterError, match="'another'") as caught:
        text(engine, ("another", 1.0))
    assert "style, tests" in str(caught.value)


def test_a_cancel_in_its_answer_frees_the_server(engine, server):
    cancel, heard = CancelToken(), []

    def cancel_at_the_third(token):
        heard.append(token.text)
        if len(heard) == 3:
            cancel.cancel()
        return True

    prompt = Prompt(engine.tokenizer.encode("x = 1\n" * 20), "")
    (answer,) = engine.generate(prompt, SamplingParams(max_tokens=800), cancel, [cancel_at_the_third])
    assert answer.finish_reason is FinishReason.CANCELLED
    assert answer.text.startswith("".join(heard[:3]))
    ends_at = time.monotonic() + 60
    while (slot := httpx2.get(f"{server.url}/slots", trust_env=False).json()[0])["is_processing"]:
        assert time.monotonic() < ends_at
        time.sleep(0.05)
    assert slot["next_token"][0]["n_decoded"] < 800
    assert text(engine)
