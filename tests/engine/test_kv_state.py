"""The contract of saved KV states: they spare evaluations, and never change what is generated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

from fim_lsp.engine.base import CancelToken, Engine
from fim_lsp.engine.kv_state_store import KvStateStore, kv_state_files
from fim_lsp.engine.llama import open_llama
from fim_lsp.engine.mirror import Mirror
from fim_lsp.engine.scripted import ScriptedEngine
from fim_lsp.settings import ModelSettings
from fim_lsp.types import AppliedAdapter, Generation, Prompt, SamplingParams
from tests.engine.test_cold_equality import TOLERANCE, cold_logits, logits_of
from tests.engine.tiny_model import write_random_llama
from tests.lora_file import write_lora

ONE, OTHER, THIRD = "A = (B)\n" * 20, "C.D = E\n" * 20, "F(A).B\n" * 20
SMALL = ModelSettings(
    context_tokens=512, threads=1, sequences=2, kv_type_k="f32", kv_type_v="f32", kv_state_mb=100
)

Open = Callable[..., Engine]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_llama(tmp_path_factory.mktemp("kv_states") / "tiny.gguf")


@pytest.fixture(params=["scripted", "llama"])
def reopen(request: pytest.FixtureRequest, tiny: Path, tmp_path: Path) -> Iterator[Open]:
    """Open an engine on the same store, as a new process would."""
    opened: list[Engine] = []

    def scripted(megabytes: int = 100) -> Engine:
        engine = ScriptedEngine(lambda _: "A.B", mirror=Mirror.of(2))
        return engine.saving_to(KvStateStore(tmp_path / "saved", "scripted", megabytes * 1_000_000))

    def llama(megabytes: int = 100) -> Engine:
        return open_llama(tiny, evolve(SMALL, kv_state_mb=megabytes), kv_state_folder=tmp_path / "saved")

    def open_engine(megabytes: int = 100) -> Engine:
        opened.append((scripted if request.param == "scripted" else llama)(megabytes))
        return opened[-1]

    yield open_engine
    for engine in opened:
        if engine.mirror.tokens:
            engine.close()


def run(engine: Engine, text: str, **options: object) -> Generation:
    prompt = Prompt((), text, **options)
    return engine.generate(prompt, SamplingParams(max_tokens=4), CancelToken(), [lambda _: True])[0]


def files(tmp_path: Path) -> list[Path]:
    return [path for path, _ in kv_state_files(tmp_path / "saved")]


def save_all(engine: Engine) -> int:
    """Save every sequence. Return how many files that made."""
    count = 0
    while (written := engine.save_one()) is not None:
        written.result()
        count += 1
    return count


def test_after_a_restart_the_same_prompt_evaluates_one_token(reopen):
    first = reopen()
    expected = run(first, ONE)
    assert expected.timings.evaluated_tokens > 64
    first.close()
    second = reopen()
    again = run(second, ONE)
    assert again.timings.evaluated_tokens == 1
    assert again.text == expected.text


def test_an_evicted_sequence_is_restored(reopen):
    engine = reopen()
    for text in (ONE, OTHER, THIRD):
        assert run(engine, text, location=text).timings.evaluated_tokens > 64
    assert run(engine, ONE, location=ONE).timings.evaluated_tokens == 0


def test_a_saved_sequence_is_not_saved_again_until_it_has_grown(reopen, tmp_path):
    engine = reopen()
    run(engine, ONE)
    assert save_all(engine) == 1
    assert save_all(engine) == 0
    run(engine, ONE + "A")
    assert save_all(engine) == 0
    run(engine, ONE + "B.C = D\n" * 6)
    assert save_all(engine) == 1
    # The longer state serves both prompts.
    assert len(files(tmp_path)) == 1


def test_a_few_tokens_are_not_worth_a_file(reopen, tmp_path):
    engine = reopen()
    run(engine, "A = B\n")
    assert save_all(engine) == 0
    engine.close()
    assert files(tmp_path) == []


def test_a_prompt_in_memory_is_not_read_from_the_disk(reopen, tmp_path):
    engine = reopen()
    run(engine, ONE)
    save_all(engine)
    (path,) = files(tmp_path)
    path.write_bytes(b"")
    assert run(engine, ONE + "A").timings.evaluated_tokens < 8


def test_a_background_prefill_restores_a_saved_state_too(reopen):
    first = reopen()
    run(first, ONE)
    first.close()
    second = reopen()
    run(second, OTHER)
    assert second.prefill(Prompt((), ONE), CancelToken()).evaluated_tokens <= 1
    assert run(second, OTHER).timings.evaluated_tokens == 0


def test_the_disk_is_bounded_and_the_last_used_stays(reopen, tmp_path):
    engine = reopen()
    run(engine, ONE)
    save_all(engine)
    size = sum(path.stat().st_size for path in files(tmp_path))
    engine.close()
    small = reopen()
    small.kv_states.store.limit_bytes = size + size // 2
    run(small, OTHER)
    assert save_all(small) == 1
    assert len(files(tmp_path)) == 1
    small.close()
    assert run(reopen(), OTHER).timings.evaluated_tokens == 1


@pytest.mark.parametrize("damage", ["flipped", "truncated", "longer", "header", "empty", "garbage", "magic"])
def test_a_damaged_file_is_ignored_and_removed(reopen, tmp_path, damage):
    first = reopen()
    expected = run(first, ONE)
    first.close()
    (path,) = files(tmp_path)
    path.write_bytes(_damaged(path.read_bytes(), damage))
    second = reopen()
    again = run(second, ONE)
    assert again.text == expected.text
    assert again.timings.evaluated_tokens == expected.timings.evaluated_tokens
    assert not path.exists()


def _damaged(data: bytes, how: str) -> bytes:
    middle = len(data) - 100
    return {
        "flipped": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        "truncated": data[:-1],
        "longer": data + b"\0",
        "header": data[:60] + b"9" + data[61:],
        "empty": b"",
        "garbage": b"\xff" * 5000,
        "magic": b"GGUF" + data[4:],
    }[how]


def test_a_file_under_a_wrong_name_is_removed(reopen, tmp_path):
    first = reopen()
    run(first, ONE)
    first.close()
    (path,) = files(tmp_path)
    foreign = path.with_name("0" * 32 + ".kv")
    path.rename(foreign)
    assert run(reopen(), ONE).timings.evaluated_tokens > 64
    assert not foreign.exists()


def test_only_its_owner_may_read_a_file(reopen, tmp_path):
    engine = reopen()
    run(engine, ONE)
    engine.close()
    (path,) = files(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [folder.stat().st_mode & 0o777 for folder in (path.parent, path.parent.parent)] == [0o700] * 2


def test_a_disk_that_can_not_be_written_is_no_error(reopen, tmp_path):
    (tmp_path / "saved").write_text("a file where the folder should be")
    engine = reopen()
    expected = run(engine, ONE)
    written = engine.save_one()
    assert written is not None
    written.result()
    assert run(engine, ONE).text == expected.text
    engine.close()


def test_states_are_never_used_under_other_adapters(tiny, tmp_path):
    loras = [AppliedAdapter(write_lora(tmp_path / f"{seed}.gguf", tiny, seed=seed)) for seed in range(2)]
    first = open_llama(tiny, SMALL, kv_state_folder=tmp_path / "saved")
    run(first, ONE, adapters=(loras[0],))
    first.close()
    second = open_llama(tiny, SMALL, kv_state_folder=tmp_path / "saved")
    for adapters in ((), (loras[1],), (evolve(loras[0], scale=0.5),), (evolve(loras[0], version=2),)):
        assert run(second, ONE, adapters=adapters).timings.evaluated_tokens > 64
    assert run(second, ONE, adapters=(loras[0],)).timings.evaluated_tokens == 1
    second.close()


@pytest.mark.parametrize("change", ["file", "kv type", "sequences", "context"])
def test_states_are_never_used_by_another_model_or_cache(tmp_path, change):
    model = write_random_llama(tmp_path / "model.gguf")
    first = open_llama(model, SMALL, kv_state_folder=tmp_path / "saved")
    run(first, ONE)
    first.close()
    settings = SMALL
    if change == "file":
        write_random_llama(model, seed=1)
    elif change == "kv type":
        settings = evolve(SMALL, kv_type_k="f16")
    elif change == "sequences":
        settings = evolve(SMALL, sequences=3)
    else:
        settings = evolve(SMALL, context_tokens=256)
    second = open_llama(model, settings, kv_state_folder=tmp_path / "saved")
    assert run(second, ONE).timings.evaluated_tokens > 64
    second.close()


def test_logits_after_a_restart_are_those_of_a_cold_evaluation(tiny, tmp_path):
    first = open_llama(tiny, SMALL, kv_state_folder=tmp_path / "saved")
    for text in (ONE, OTHER, THIRD):
        run(first, text, location=text)
    first.close()
    warm = open_llama(tiny, SMALL, kv_state_folder=tmp_path / "saved")
    cold = open_llama(tiny, SMALL)
    for text in (THIRD + "A", OTHER + "B.C", ONE[:-9] + "D", ONE, THIRD):
        served = logits_of(warm, Prompt((), text, location=text))
        expected = cold_logits(cold, tuple(warm.mirror.tokens), ())
        np.testing.assert_allclose(served, expected, atol=TOLERANCE)
    assert run(warm, ONE, location=ONE).timings.evaluated_tokens == 1
    warm.close()
    cold.close()


def test_a_state_that_llama_cpp_refuses_leaves_an_empty_sequence(tiny, tmp_path):
    engine = open_llama(tiny, SMALL, kv_state_folder=tmp_path / "saved")
    run(engine, ONE)
    cache, tokens = engine.cache, tuple(engine.mirror.states[0].tokens)
    payload = bytes(cache.save(0))
    for broken, listed in ((payload[: len(payload) // 2], tokens), (b"", tokens), (payload, tokens[:3])):
        assert not cache.restore(1, broken, listed)
        assert (cache.held(1), engine.mirror.states[1].tokens) == (0, [])
    assert cache.restore(1, payload, tokens)
    assert (cache.held(1), tuple(engine.mirror.states[1].tokens)) == (len(tokens), tokens)
    engine.close()


def test_a_sequence_is_saved_with_just_the_tokens_that_the_mirror_lists(tiny):
    engine = open_llama(tiny, SMALL)
    run(engine, ONE)
    cache, mirrored = engine.cache, engine.mirror.tokens
    held = cache.held(0)
    mirrored.append(0)
    assert cache.save(0) is None
    del mirrored[40:]
    payload = cache.save(0)
    assert cache.held(0) == 40 < held
    assert cache.restore(1, payload, mirrored)
    mirrored.clear()
    assert cache.save(0) is None
    engine.close()
