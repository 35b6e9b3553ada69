"""The thread count of a real context follows the cost of decodes, unless the settings fix it."""

from __future__ import annotations

from pathlib import Path

import llama_cpp
import pytest
from attrs import evolve

from fim_lsp.engine.base import CancelToken
from fim_lsp.engine.llama import LlamaEngine, loading, open_llama, threads
from fim_lsp.engine.machine_load import CpuSample, MachineLoad
from fim_lsp.settings import ModelSettings
from fim_lsp.types import Generation, Prompt, SamplingParams
from tests.engine.test_cold_equality import abort_after
from tests.engine.tiny_model import write_random_llama


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_llama(tmp_path_factory.mktemp("threads") / "tiny.gguf")


def open_model(model: Path, threads: int | None, gpu_layers: int = 0) -> LlamaEngine:
    settings = ModelSettings(context_tokens=256, threads=threads, gpu_layers=gpu_layers, speculation="off")
    return open_llama(model, settings)


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "default_threads", lambda: 4)
    monkeypatch.setattr(threads, "processors", lambda: 4)


def crowd(engine: LlamaEngine) -> None:
    """Record times of a machine that is quiet, then busy."""
    for ms in (10.0,) * 48 + (200.0,) * 12 + (50.0,) * 6:
        engine.threads.record(ms)


def generate(engine: LlamaEngine) -> Generation:
    engine.mirror.clear()
    prompt = Prompt((0,), "A = (B)\n" * 6)
    return engine.generate(prompt, SamplingParams(max_tokens=8), CancelToken(), [lambda _: True])[0]


@pytest.mark.usefixtures("four_cores")
def test_a_crowded_machine_gets_fewer_threads_which_generate_the_same(model):
    quiet, crowded = open_model(model, None), open_model(model, None)
    # Before the first decode, whose own time on this machine must not mix with these.
    crowd(crowded)
    before, after = generate(quiet), generate(crowded)
    assert (before.timings.threads, after.timings.threads) == (4, 2)
    assert llama_cpp.llama_n_threads_batch(crowded.cache.context) == 2
    assert after.text == before.text
    quiet.close()
    crowded.close()


@pytest.mark.usefixtures("four_cores")
def test_a_thread_count_from_the_settings_is_never_changed(model):
    engine = open_model(model, 3)
    crowd(engine)
    assert generate(engine).timings.threads == 3
    engine.close()


@pytest.mark.usefixtures("four_cores")
def test_more_threads_than_processors_are_not_used_and_the_user_is_told(model):
    engine = open_model(model, 64)
    assert generate(engine).timings.threads == 4
    assert "model.threads is 64, but this machine has 4 processors" in (engine.info.notice or "")
    engine.close()


@pytest.mark.usefixtures("four_cores")
def test_only_decodes_of_one_token_are_recorded(model):
    engine = open_model(model, None)
    recorded: list[float] = []
    engine.threads.record = recorded.append
    evaluated = engine.prefill(Prompt((0,), "A = (B)\n" * 6), CancelToken()).evaluated_tokens
    assert evaluated > 1
    assert recorded == []
    generation = generate(engine)
    assert len(recorded) == generation.timings.generated_tokens - 1
    assert min(recorded) > 0
    engine.close()


def loaded(busy: float) -> MachineLoad:
    """Return a machine on which other processes keep so many processors busy."""
    at = iter(range(10_000))

    def sample() -> CpuSample:
        now = next(at)
        return CpuSample(now, now * busy, 0.0)

    return MachineLoad(sample)


@pytest.mark.usefixtures("four_cores")
@pytest.mark.parametrize(("busy", "used"), [(0.0, 6), (1.0, 5), (5.0, 4)])
def test_a_prefill_uses_every_core_that_is_free_and_decode_does_not(model, monkeypatch, busy, used):
    monkeypatch.setattr(loading, "physical_cores", lambda: 6)
    monkeypatch.setattr(threads, "MachineLoad", lambda: loaded(busy))
    engine = open_model(model, None)
    timings = engine.prefill(Prompt((0,), "A = (B)\n" * 20), CancelToken())
    assert timings.threads == used
    assert llama_cpp.llama_n_threads_batch(engine.cache.context) == 4
    assert generate(engine).timings.threads == 4
    engine.close()


def test_the_speed_of_prefill_is_measured_at_load_and_leaves_nothing_behind(model):
    engine = open_model(model, 1)
    assert engine.info.prefill_tokens_per_s > 0
    assert not any(state.tokens for state in engine.mirror.states)
    assert engine.cache.held(0) == 0
    engine.close()


def test_a_prefill_can_be_asked_to_end_after_its_batch(model):
    engine = open_model(model, 1)
    slow, cancel = evolve(engine, info=evolve(engine.info, prefill_tokens_per_s=20.0)), CancelToken()
    ask = llama_cpp.ggml_abort_callback(lambda _: cancel.end_after_batch() or False)
    timings = evolve(slow, abort_callback=ask).prefill(Prompt((0,), "A = (B)\n" * 12), cancel)
    assert timings.evaluated_tokens == 8
    engine.close()


def test_an_aborted_prefill_in_the_background_keeps_its_batches(model):
    """The slower the machine, the smaller they are: a batch of 128 tokens of a large model takes seconds."""
    engine = open_model(model, 1)
    slow = evolve(engine, info=evolve(engine.info, prefill_tokens_per_s=20.0))
    kept = []
    for nodes in range(0, 900, 60):
        engine.mirror.clear()
        evolve(slow, abort_callback=abort_after(nodes)).prefill(Prompt((0,), "A = (B)\n" * 12), CancelToken())
        kept.append(max(len(state.tokens) for state in engine.mirror.states))
    assert {8, 16} <= set(kept)
    engine.close()
