from __future__ import annotations

import asyncio
import threading
import time

import pytest
from attrs import frozen

from fim_lsp.engine.base import CancelToken, EngineError, ModelLoadError, OnLoading, OvertakenError
from fim_lsp.engine.kv_state_store import KvStateStore, kv_state_files
from fim_lsp.engine.scripted import Script, ScriptedEngine
from fim_lsp.engine.worker import InferenceWorker, WorkerState
from fim_lsp.settings import ModelSettings
from fim_lsp.types import FinishReason, Prompt, SamplingParams

PROMPT = Prompt(head=(), tail="x = ")


async def _loaded(engine: ScriptedEngine) -> InferenceWorker:
    worker = InferenceWorker(lambda _, loading: loading(1.0) and engine)
    await worker.load(ModelSettings(), lambda _: None)
    return worker


async def test_every_engine_call_runs_on_one_other_thread():
    threads: set[str] = set()
    script = Script(lambda _: "1", before_token=lambda: threads.add(threading.current_thread().name))
    worker = await _loaded(ScriptedEngine(script))
    for _ in range(3):
        await worker.generate(PROMPT, SamplingParams(), CancelToken(), [lambda _: True])
    await worker.close()
    assert threads == {"fim-lsp-inference"}


async def test_generating_without_a_model_is_an_error():
    worker = InferenceWorker(lambda *_: ScriptedEngine(str))
    with pytest.raises(EngineError, match="No model"):
        await worker.generate(PROMPT, SamplingParams(), CancelToken(), [lambda _: True])


async def test_a_failed_load_can_be_tried_again():
    outcomes = iter([ModelLoadError("No such file."), None])

    def factory(*_: object) -> ScriptedEngine:
        if (error := next(outcomes)) is not None:
            raise error
        return ScriptedEngine(lambda _: "1")

    worker = InferenceWorker(factory)
    with pytest.raises(ModelLoadError):
        await worker.load(ModelSettings(), lambda _: None)
    assert worker.state is WorkerState.FAILED
    assert worker.engine is None
    await worker.load(ModelSettings(), lambda _: None)
    assert worker.state is WorkerState.READY
    await worker.close()


async def test_cancelling_the_await_cancels_the_generation():
    started, cancel = threading.Event(), CancelToken()

    def wait() -> None:
        started.set()
        while not cancel.cancelled:
            threading.Event().wait(0.001)

    worker = await _loaded(ScriptedEngine(Script(lambda _: "1", before_token=wait)))
    task = asyncio.create_task(worker.generate(PROMPT, SamplingParams(), cancel, [lambda _: True]))
    await asyncio.to_thread(started.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancel.cancelled
    await worker.close()


async def test_a_queued_generation_never_reaches_a_model_loaded_after_it():
    release, blocked = threading.Event(), threading.Event()

    def block() -> None:
        blocked.set()
        release.wait(5)

    blocking = Script(lambda _: "1", before_token=block)
    engines = iter([ScriptedEngine(blocking), ScriptedEngine(lambda _: "2")])
    worker = InferenceWorker(lambda *_: next(engines))
    await worker.load(ModelSettings(), lambda _: None)
    running = asyncio.create_task(worker.generate(PROMPT, SamplingParams(), CancelToken(), [lambda _: True]))
    await asyncio.to_thread(blocked.wait)
    queued = asyncio.create_task(worker.generate(PROMPT, SamplingParams(), CancelToken(), [lambda _: True]))
    await asyncio.sleep(0)
    loading = asyncio.create_task(worker.load(ModelSettings(), lambda _: None))
    await asyncio.sleep(0)
    release.set()
    assert (await running)[0].finish_reason is FinishReason.CANCELLED
    await loading
    # Jobs run in order, so the queued one still runs on its own model, or is refused; never on the new one.
    assert (await queued)[0].text != "2"
    await worker.close()


async def test_close_ends_the_thread():
    worker = await _loaded(ScriptedEngine(lambda _: "1"))
    await worker.close()
    assert worker.state is WorkerState.CLOSED
    assert "fim-lsp-inference" not in {thread.name for thread in threading.enumerate()}


async def test_a_load_that_is_overtaken_never_returns_its_engine():
    engines = iter([ScriptedEngine(lambda _: "1"), ScriptedEngine(lambda _: "2")])
    worker = InferenceWorker(lambda *_: next(engines))
    first = asyncio.create_task(worker.load(ModelSettings(), lambda _: None))
    await asyncio.sleep(0)
    second = asyncio.create_task(worker.load(ModelSettings(), lambda _: None))
    with pytest.raises(OvertakenError):
        await first
    engine = await second
    assert worker.engine is engine
    await worker.close()


async def test_a_close_overtakes_a_load():
    worker = InferenceWorker(lambda *_: ScriptedEngine(lambda _: "1"))
    loading = asyncio.create_task(worker.load(ModelSettings(), lambda _: None))
    await asyncio.sleep(0)
    await worker.close()
    with pytest.raises(OvertakenError):
        await loading
    assert worker.engine is None
    with pytest.raises(OvertakenError):
        await worker.load(ModelSettings(), lambda _: None)


async def test_a_load_in_progress_is_aborted_when_the_session_ends():
    halfway = threading.Event()

    def load_for_ever(_: object, on_loading: OnLoading) -> ScriptedEngine:
        while on_loading(0.5):
            halfway.set()
            time.sleep(0.001)
        raise ModelLoadError("llama.cpp aborted the load.")

    worker = InferenceWorker(load_for_ever)
    loading = asyncio.create_task(worker.load(ModelSettings(), lambda _: None))
    await asyncio.to_thread(halfway.wait)
    await worker.close()
    with pytest.raises(OvertakenError):
        await loading


async def test_close_waits_for_no_load_and_its_engine_is_still_closed(caplog):
    begun, release, closed = threading.Event(), threading.Event(), threading.Event()

    @frozen
    class Closing(ScriptedEngine):
        def close(self) -> None:
            closed.set()

    def never_reports(*_: object) -> ScriptedEngine:
        begun.set()
        release.wait(30)
        return Closing(lambda _: "1")

    worker = InferenceWorker(never_reports)
    loading = asyncio.create_task(worker.load(ModelSettings(), lambda _: None))
    await asyncio.to_thread(begun.wait)
    await worker.close()
    assert not caplog.records, "the log has a warning if close waited for the thread"
    assert not loading.done()
    release.set()
    with pytest.raises(OvertakenError):
        await loading
    assert await asyncio.to_thread(closed.wait, 30)


@pytest.mark.parametrize(("ending", "aborted"), [(False, True), (True, False)])
async def test_a_generation_aborts_a_batch_in_the_background_unless_it_may_end(ending, aborted):
    worker = await _loaded(ScriptedEngine(lambda _: "1"))
    background = CancelToken()
    await worker.prefill(Prompt(head=(), tail="y"), background)
    if ending:
        background.end_after_batch()
    await worker.generate(PROMPT, SamplingParams(), CancelToken(), [lambda _: True])
    assert background.cancelled
    assert bool(background.buffer.value) == aborted
    await worker.close()


async def test_a_generation_aborts_a_prefill_in_the_background():
    begun, release = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        release.wait(5)

    worker = await _loaded(ScriptedEngine(Script(lambda _: "1", before_token=wait)))
    background = CancelToken()
    ahead = Prompt(head=(), tail="y = " * 50)
    prefill = asyncio.create_task(worker.prefill(ahead, background))
    await asyncio.to_thread(begun.wait)
    generation = asyncio.create_task(
        worker.generate(PROMPT, SamplingParams(), CancelToken(), [lambda _: True])
    )
    await asyncio.sleep(0)
    assert background.cancelled
    release.set()
    assert (await prefill).evaluated_tokens == 0
    assert (await generation)[0].text == "1"
    await worker.close()


async def test_a_queued_prefill_is_replaced_by_the_next():
    worker = await _loaded(ScriptedEngine(lambda _: "1"))
    older, newer = CancelToken(), CancelToken()
    both = [worker.prefill(Prompt((), text), token) for text, token in (("old", older), ("new", newer))]
    timings = await asyncio.gather(*both)
    assert [timing.evaluated_tokens for timing in timings] == [0, 3]
    assert (older.cancelled, newer.cancelled) == (True, False)
    await worker.close()


async def test_an_unloaded_model_is_closed_and_a_load_brings_it_back():
    opened: list[ScriptedEngine] = []

    def factory(*_: object) -> ScriptedEngine:
        opened.append(ScriptedEngine(lambda _: "1"))
        return opened[-1]

    worker = InferenceWorker(factory)
    await worker.load(ModelSettings(), lambda _: None)
    await worker.generate(PROMPT, SamplingParams(), CancelToken(), [lambda _: True])
    assert opened[0].mirror.tokens
    await worker.unload()
    assert (worker.state, worker.engine) == (WorkerState.ASLEEP, None)
    assert not opened[0].mirror.tokens
    with pytest.raises(EngineError, match="No model"):
        await worker.generate(PROMPT, SamplingParams(), CancelToken(), [lambda _: True])
    await worker.load(ModelSettings(), lambda _: None)
    assert (await worker.generate(PROMPT, SamplingParams(), CancelToken(), [lambda _: True]))[0].text == "1"
    await worker.close()


async def test_there_is_nothing_to_unload_without_a_model_or_while_one_loads():
    worker = InferenceWorker(lambda *_: ScriptedEngine(lambda _: "1"))
    await worker.unload()
    assert worker.state is WorkerState.EMPTY
    loading = asyncio.create_task(worker.load(ModelSettings(), lambda _: None))
    await asyncio.sleep(0)
    await worker.unload()
    engine = await loading
    assert worker.engine is engine
    await worker.close()


async def test_kv_states_are_saved_one_by_one_until_all_are(tmp_path):
    store = KvStateStore(tmp_path, "scripted", 1_000_000)
    worker = await _loaded(ScriptedEngine(lambda _: "1").saving_to(store))
    for text in ("a = 1\n" * 20, "b = 2\n" * 20):
        await worker.generate(Prompt((), text), SamplingParams(), CancelToken(), [lambda _: True])
    for expected in (1, 2):
        assert await worker.save_one()
        assert len(kv_state_files(tmp_path)) == expected
    assert not await worker.save_one()
    await worker.close()


async def test_there_is_nothing_to_save_without_a_model_or_a_store():
    worker = InferenceWorker(lambda *_: ScriptedEngine(lambda _: "1"))
    assert not await worker.save_one()
    worker = await _loaded(ScriptedEngine(lambda _: "1"))
    await worker.generate(Prompt((), "a = 1\n" * 20), SamplingParams(), CancelToken(), [lambda _: True])
    assert not await worker.save_one()
    await worker.close()


async def test_a_close_saves_the_kv_states(tmp_path):
    store = KvStateStore(tmp_path, "scripted", 1_000_000)
    worker = await _loaded(ScriptedEngine(lambda _: "1").saving_to(store))
    await worker.generate(Prompt((), "a = 1\n" * 20), SamplingParams(), CancelToken(), [lambda _: True])
    await worker.close()
    assert len(kv_state_files(tmp_path)) == 1
