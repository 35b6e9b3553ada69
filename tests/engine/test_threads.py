"""The thread count of a real context follows what decodes cost, unless it was given by hand."""

from __future__ import annotations

from pathlib import Path

import llama_cpp
import pytest

from fim_lsp.engine.base import CancelToken
from fim_lsp.engine.llama import LlamaEngine, loading, open_llama
from fim_lsp.settings import ModelSettings
from fim_lsp.types import Generation, Prompt, SamplingParams
from tests.engine.tiny_model import write_random_llama


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_llama(tmp_path_factory.mktemp("threads") / "tiny.gguf")


def opened(model: Path, threads: int | None, gpu_layers: int = 0) -> LlamaEngine:
    settings = ModelSettings(context_tokens=256, threads=threads, gpu_layers=gpu_layers, speculation="off")
    return open_llama(model, settings)


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "default_threads", lambda: 4)


def crowd(engine: LlamaEngine) -> None:
    """As if the machine had been quiet, then busy."""
    for ms in (10.0,) * 48 + (200.0,) * 12 + (50.0,) * 6:
        engine.threads.decoded(ms)


def said(engine: LlamaEngine) -> Generation:
    engine.mirror.clear()
    prompt = Prompt((0,), "A = (B)\n" * 6)
    return engine.generate(prompt, SamplingParams(max_tokens=8), CancelToken(), [lambda _: True])[0]


@pytest.mark.usefixtures("four_cores")
def test_a_crowded_machine_gets_fewer_threads_which_say_the_same(model):
    quiet, crowded = opened(model, None), opened(model, None)
    # Before it speaks: its own times, on a machine that nobody knows, must not mix with those.
    crowd(crowded)
    before, after = said(quiet), said(crowded)
    assert (before.timings.threads, after.timings.threads) == (4, 2)
    assert llama_cpp.llama_n_threads_batch(crowded._context) == 2
    assert after.text == before.text
    quiet.close()
    crowded.close()


@pytest.mark.usefixtures("four_cores")
def test_threads_given_by_hand_are_never_changed(model):
    engine = opened(model, 3)
    crowd(engine)
    assert said(engine).timings.threads == 3
    engine.close()


@pytest.mark.usefixtures("four_cores")
def test_only_decodes_of_one_token_are_judged(model):
    engine = opened(model, None)
    judged: list[float] = []
    engine.threads.decoded = judged.append
    evaluated = engine.prefill(Prompt((0,), "A = (B)\n" * 6), CancelToken()).evaluated_tokens
    assert evaluated > 1
    assert judged == []
    generation = said(engine)
    assert len(judged) == generation.timings.generated_tokens - 1
    assert min(judged) > 0
    engine.close()
