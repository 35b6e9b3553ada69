"""Evaluate prompts while the user pauses, one after the other, and stop as soon as a request comes.

A prefill is aborted within milliseconds when a generation comes, and the engine keeps the batches evaluated
by then: the next idle prefill goes on from there. Where the generation goes on with the same prompt, the
batch that is being evaluated ends first: an abort would lose it, and the generation would begin it again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

import psutil
from attrs import frozen

from fim_lsp.completion.cpu_spending import CpuSpending
from fim_lsp.completion.prompts import PlannedPrefill
from fim_lsp.engine.base import CancelToken, EngineError, PromptTooColdError
from fim_lsp.engine.worker import InferenceWorker
from fim_lsp.types import Timings

logger = logging.getLogger(__name__)

PAUSE_S = 0.2
"""Seconds without an event before work begins: a burst of keystrokes leaves no time for it."""
FindPrompts = Callable[[], Iterable[PlannedPrefill]]
"""Decides what to evaluate; called when there is time for it."""
OnEvaluated = Callable[[PlannedPrefill], None]
"""Called on the event loop with each prompt that was evaluated to its end, or as far as a key leaves it."""


@frozen
class PrefillOrder:
    """The prompts to evaluate, and what they may cost."""

    find: FindPrompts
    on_evaluated: OnEvaluated
    cpu_s_a_minute: float | None = None
    """CPU seconds a minute that all orders with a limit may spend together; None for no limit. An order with
    a limit does not wait for a pause: the client has waited before it sent its notice."""


@frozen(eq=False)
class _Evaluation:
    """A prompt while it is evaluated."""

    planned: PlannedPrefill
    order: PrefillOrder
    cancel: CancelToken


class IdlePrefill:
    """One queue of prompts, replaced as a whole with each event. Lives on one asyncio loop."""

    def __init__(
        self,
        worker: InferenceWorker,
        pause_s: float = PAUSE_S,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._worker = worker
        self._pause_s = pause_s
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._cancel = CancelToken()
        self._evaluating: _Evaluation | None = None
        self._spending = CpuSpending()
        self._threads = psutil.cpu_count() or 1
        """Threads of the last prefill. Before the first one, the most that there can be."""

    @property
    def busy(self) -> bool:
        """True while a prompt is waiting or being evaluated."""
        return self._task is not None and not self._task.done()

    def start(self, order: PrefillOrder) -> None:
        """Evaluate the prompts of an order, after a pause, instead of all from before."""
        # A batch that a key waits for goes on: its prompt ends behind it anyway.
        if self._evaluating is None or not self._evaluating.cancel.cancelled:
            self.stop()
        self._cancel = CancelToken()
        self._task = asyncio.create_task(self._run(order, self._cancel))

    def end_after_batch(self) -> None:
        """Make way for a key that was typed where the prompts were planned for.

        A prompt that was planned for this key serves it from now on, and the batch of it that is being
        evaluated ends first. All else is aborted at once.
        """
        running = self._evaluating
        if running is None or not running.planned.for_next_key:
            self.stop()
        elif not running.cancel.cancelled:
            running.cancel.end_after_batch()
            running.order.on_evaluated(running.planned)

    def stop(self) -> None:
        """Abort at once."""
        if self._evaluating is not None:
            self._evaluating.cancel.cancel()
        self._cancel.cancel()
        if self._task is not None:
            self._task.cancel()

    async def _run(self, order: PrefillOrder, cancel: CancelToken) -> None:
        if order.cpu_s_a_minute is None:
            await asyncio.sleep(self._pause_s)
        else:
            # A prefill that was just aborted may still run, or a generation for another place.
            await self._worker.settle()
        if self._worker.engine is None:  # unloaded: its tokenizer is closed
            return
        for planned in order.find():
            if self._worker.engine is None or not self._worker.idle:
                return
            self._evaluating = evaluation = _Evaluation(planned, order, cancel)
            try:
                timings = await self._evaluate(planned, order.cpu_s_a_minute, cancel)
            except PromptTooColdError:
                continue  # a shorter one is planned behind it
            except EngineError as error:
                # The request that needs this prompt reports the error.
                logger.debug("Not evaluated while idle: %s", error)
                return
            finally:
                if self._evaluating is evaluation:
                    self._evaluating = None
            if cancel.cancelled:
                return
            logger.debug("Evaluated a prompt while idle: %s", timings)
            order.on_evaluated(planned)

    async def _evaluate(
        self, planned: PlannedPrefill, cpu_s_a_minute: float | None, cancel: CancelToken
    ) -> Timings:
        """Evaluate a prompt. Under a limit, cancel it when the CPU time of this minute is spent."""
        if cpu_s_a_minute is None:
            return await self._worker.prefill(planned.prompt, cancel)
        started = self._clock()
        left_s = self._spending.left(started, cpu_s_a_minute)
        if not left_s:
            cancel.cancel()
            return Timings()
        timer = asyncio.get_running_loop().call_later(left_s / self._threads, cancel.cancel)
        try:
            timings = await self._worker.prefill(planned.prompt, cancel)
            self._threads = timings.threads or self._threads
            return timings
        finally:
            timer.cancel()
            now = self._clock()
            self._spending = self._spending.after(now, (now - started) * self._threads)
