"""One inference thread on which every native call happens, opening and closing included.

llama.cpp contexts are not thread-safe, and its OpenMP threads belong to the calling thread. So the asyncio
side only queues jobs and awaits futures (the shape of aiosqlite's core). A result is delivered only if its
future is still awaited.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from attrs import evolve

from fim_lsp.engine.base import (
    CancelToken,
    Engine,
    EngineError,
    EngineFactory,
    OnToken,
    OvertakenError,
)
from fim_lsp.engine.prefill_speed import PrefillSpeed
from fim_lsp.settings import ModelSettings
from fim_lsp.types import FinishReason, Generation, Prompt, SamplingParams, Timings

T = TypeVar("T")
logger = logging.getLogger(__name__)


class WorkerState(enum.Enum):
    """State of the inference thread's model."""

    EMPTY = "empty"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    ASLEEP = "asleep"
    """The model was unloaded because it was not used; a load brings it back."""
    CLOSED = "closed"


class InferenceWorker:
    """Owns the engine. Belongs to one asyncio loop; starts its thread with the first job."""

    def __init__(self, factory: EngineFactory) -> None:
        self._factory = factory
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._engine: Engine | None = None
        self._running = CancelToken()
        self._background = CancelToken()
        self._loads = 0
        self._prefill_speed = PrefillSpeed()
        self.state = WorkerState.EMPTY
        self.pending = 0
        """Jobs queued or running."""

    @property
    def engine(self) -> Engine | None:
        """The loaded engine, for its info and tokenizer; None unless the state is READY."""
        return self._engine if self.state is WorkerState.READY else None

    @property
    def prefill_speed(self) -> PrefillSpeed:
        """The speed of prefill with the loaded model."""
        return self._prefill_speed

    @property
    def idle(self) -> bool:
        """True if no job is queued or running."""
        return self.pending == 0

    async def load(self, settings: ModelSettings, on_progress: Callable[[float], None]) -> Engine:
        """Close the open engine and open the model that ``settings`` name. A running generation is aborted.

        ``on_progress`` is called on the inference thread with the part that is done, 0 to 1. A load that is
        overtaken ends as soon as the library allows.

        Raises:
            FimLspError: the model can't be used; the state is FAILED and a later load may succeed.
            OvertakenError: a newer load or a close came meanwhile. This load's engine must not be used: it is
                closed on the inference thread.
        """
        if self.state is WorkerState.CLOSED:
            raise OvertakenError("The session has ended.")
        self.state = WorkerState.LOADING
        self._loads += 1
        number = self._loads
        self._running.cancel()

        def report(part: float) -> bool:
            """Report progress, and return whether this is still the latest load."""
            on_progress(part)
            return number == self._loads and self.state is WorkerState.LOADING

        def reopen() -> Engine:
            self._close_engine()
            self._engine = self._factory(settings, report)
            return self._engine

        overtaken = OvertakenError(f"Loading {settings.name} was overtaken.")
        try:
            engine = await self._submit(reopen)
        except Exception as error:
            if not report(0.0):
                raise overtaken from error
            self.state = WorkerState.FAILED
            raise
        if not report(1.0):
            raise overtaken
        self.state = WorkerState.READY
        self._prefill_speed = PrefillSpeed(engine.info.prefill_tokens_per_s)
        return engine

    async def unload(self) -> None:
        """Free the weights and the context, if there are any; the state is ASLEEP until the next load.

        Jobs that are queued already still run on their engine.
        """
        if self.state is not WorkerState.READY:
            return
        self.state = WorkerState.ASLEEP
        await self._submit(self._close_engine)

    async def generate(
        self, prompt: Prompt, sampling: SamplingParams, cancel: CancelToken, on_tokens: Sequence[OnToken]
    ) -> tuple[Generation, ...]:
        """Run :meth:`fim_lsp.engine.base.Engine.generate`, and abort the prefill in the background.

        One that was asked to end after its batch does so.

        Cancelling the await sets ``cancel``; the tokens evaluated by then are kept.

        Raises:
            EngineError: no model is loaded, or the engine refused the prompt.
        """
        if not self._background.cancelled:
            self._background.cancel()
        queued_at = time.perf_counter()

        def generate(engine: Engine) -> tuple[Generation, ...]:
            queued_ms = (time.perf_counter() - queued_at) * 1000
            generations = engine.generate(prompt, sampling, cancel, on_tokens)
            return tuple(
                evolve(generation, timings=evolve(generation.timings, queued_ms=queued_ms))
                for generation in generations
            )

        cancelled: tuple[Generation, ...] = (Generation("", FinishReason.CANCELLED),)
        generations = await self._on_engine(generate, cancel, cancelled)
        self._measure(generations[0].timings)
        return generations

    async def prefill(self, prompt: Prompt, cancel: CancelToken) -> Timings:
        """Evaluate a prompt in the background.

        The next prefill of another plan aborts it, and so does the next generation, unless it was asked to
        end after its batch.

        Raises:
            EngineError: no model is loaded, or the engine refused the prompt.
        """
        if self._background is not cancel:  # prefills of one plan share a token
            self._background.cancel()
        self._background = cancel
        timings = await self._on_engine(lambda engine: engine.prefill(prompt, cancel), cancel, Timings())
        self._measure(timings)
        return timings

    async def settle(self) -> None:
        """Return once the jobs that are queued or running now have ended."""
        if not self.idle:
            await self._submit(lambda: None)

    async def save_one(self) -> bool:
        """Save the KV state of one sequence that is not on the disk yet. Return False if there is none."""
        if self.engine is None:
            return False
        written = await self._on_engine(lambda engine: engine.save_one(), CancelToken(), None)
        if written is None:
            return False
        await asyncio.wrap_future(written)
        return True

    async def close(self, timeout: float = 5.0) -> None:
        """Abort the running job, close the engine on its own thread, and wait ``timeout`` seconds for that.

        A load is not waited for. It ends at the library's next call of :data:`OnLoading`; for seconds before
        the first and after the last one there is none, and a client would kill a server that waits so long.
        """
        loading = self.state is WorkerState.LOADING
        self.state = WorkerState.CLOSED
        self._running.cancel()
        thread = self._thread
        if thread is None:
            return
        self._jobs.put(self._close_engine)
        self._jobs.put(None)
        if loading:
            return
        await asyncio.to_thread(thread.join, timeout)
        if thread.is_alive():
            logger.warning("The inference thread did not end within %.0f s; leaving it behind.", timeout)

    def _measure(self, timings: Timings) -> None:
        self._prefill_speed = self._prefill_speed.after(timings.evaluated_tokens, timings.prefill_ms)

    def _close_engine(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    async def _on_engine(self, job: Callable[[Engine], T], cancel: CancelToken, cancelled: T) -> T:
        """Run a job on the engine that is open now. Return ``cancelled`` if it was cancelled before."""
        engine = self.engine
        if engine is None:
            raise EngineError("No model is loaded.", "Reload it with fimLsp.reload.")

        def run() -> T:
            # A prompt's ids belong to one vocabulary: they must not reach a model that replaced theirs.
            if cancel.cancelled or self._engine is not engine:
                return cancelled
            self._running = cancel
            return job(engine)

        try:
            return await self._submit(run)
        except asyncio.CancelledError:
            cancel.cancel()
            raise

    async def _submit(self, job: Callable[[], T]) -> T:
        """Queue a job for the inference thread, and await its result."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self.pending += 1
        self._ensure_thread()
        self._jobs.put(partial(self._run, job, loop, future))
        return await future

    def _run(self, job: Callable[[], T], loop: asyncio.AbstractEventLoop, future: asyncio.Future[T]) -> None:
        """Run a job on the inference thread, and have its outcome delivered on the loop."""
        try:
            set_outcome = partial(future.set_result, job())
        except BaseException as error:
            set_outcome = partial(future.set_exception, error)
        try:
            loop.call_soon_threadsafe(self._deliver, future, set_outcome)
        except RuntimeError:
            logger.debug("The event loop closed before a result arrived.")

    def _deliver(self, future: asyncio.Future[T], set_outcome: Callable[[], None]) -> None:
        self.pending -= 1
        if not future.done():
            set_outcome()

    def _ensure_thread(self) -> None:
        if self._thread is None:
            # A daemon, so that a native call that never returns can't keep the process alive.
            self._thread = threading.Thread(target=self._work, name="fim-lsp-inference", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
