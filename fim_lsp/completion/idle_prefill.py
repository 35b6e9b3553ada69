"""Evaluate prompts while the user pauses, one after the other, and stop as soon as a request comes.

The worker aborts a prefill within milliseconds when a generation comes, and the engine keeps what was
evaluated by then: the next idle prefill goes on from there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from fim_lsp.completion.prompts import PlannedPrefill
from fim_lsp.engine.base import CancelToken, EngineError
from fim_lsp.engine.worker import InferenceWorker

logger = logging.getLogger(__name__)

PAUSE_S = 0.2
"""Seconds without an event before work begins: a burst of keystrokes leaves no time for it."""

FindPrompts = Callable[[], Iterable[PlannedPrefill]]
"""Decides what to evaluate; called when there is time for it."""
OnEvaluated = Callable[[PlannedPrefill], None]
"""Called on the event loop with each prompt that was evaluated to its end."""


class IdlePrefill:
    """One queue of prompts, replaced as a whole with each event. Lives on one asyncio loop."""

    def __init__(self, worker: InferenceWorker, pause_s: float = PAUSE_S) -> None:
        self._worker = worker
        self._pause_s = pause_s
        self._task: asyncio.Task[None] | None = None
        self._cancel = CancelToken()

    @property
    def busy(self) -> bool:
        """True while a prompt is waiting or being evaluated."""
        return self._task is not None and not self._task.done()

    def start(self, find: FindPrompts, on_evaluated: OnEvaluated) -> None:
        """Evaluate the prompts that ``find`` returns after a pause, instead of all from before."""
        self.stop()
        self._cancel = CancelToken()
        self._task = asyncio.create_task(self._run(find, on_evaluated, self._cancel))

    def stop(self) -> None:
        """Abort at once."""
        self._cancel.cancel()
        if self._task is not None:
            self._task.cancel()

    async def _run(self, find: FindPrompts, on_evaluated: OnEvaluated, cancel: CancelToken) -> None:
        await asyncio.sleep(self._pause_s)
        if self._worker.engine is None:  # unloaded: its tokenizer is closed
            return
        for planned in find():
            if self._worker.engine is None or not self._worker.idle:
                return
            try:
                timings = await self._worker.prefill(planned.prompt, cancel)
            except EngineError as error:
                # The request that needs this prompt reports the error.
                logger.debug("Not evaluated while idle: %s", error)
                return
            if cancel.cancelled:
                return
            logger.debug("Evaluated a prompt while idle: %s", timings)
            on_evaluated(planned)
