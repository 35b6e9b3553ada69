"""Evaluates prompts while nobody waits, one after the other, and gives way to whoever does.

The worker aborts a prefill within milliseconds when a generation comes, and the engine keeps what was
evaluated by then: the next look goes on from there.
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
"""How long nothing must happen before work begins: a burst of keystrokes leaves no time for it."""


Find = Callable[[], Iterable[PlannedPrefill]]
"""Decides what to evaluate; called when there is time for it."""
OnDone = Callable[[PlannedPrefill], None]


class IdlePrefill:
    """One queue of prompts, replaced as a whole with each event. Lives on one asyncio loop."""

    def __init__(self, worker: InferenceWorker, pause_s: float = PAUSE_S) -> None:
        self._worker = worker
        self._pause_s = pause_s
        self._task: asyncio.Task[None] | None = None
        self._cancel = CancelToken()

    @property
    def busy(self) -> bool:
        """Whether anything is waiting or being evaluated."""
        return self._task is not None and not self._task.done()

    def start(self, find: Find, on_done: OnDone) -> None:
        """Evaluate what ``find`` says after a pause, instead of all that was asked for before.

        ``on_done`` hears of each that is evaluated to its end, on the event loop.
        """
        self.stop()
        self._cancel = CancelToken()
        self._task = asyncio.create_task(self._run(find, on_done, self._cancel))

    def stop(self) -> None:
        """Give way at once."""
        self._cancel.cancel()
        if self._task is not None:
            self._task.cancel()

    async def _run(self, find: Find, on_done: OnDone, cancel: CancelToken) -> None:
        await asyncio.sleep(self._pause_s)
        if self._worker.engine is None:  # unloaded: its tokenizer is closed
            return
        for preparation in find():
            if self._worker.engine is None or not self._worker.idle:
                return
            try:
                timings = await self._worker.prefill(preparation.prompt, cancel)
            except EngineError as error:
                # Whoever asks for this prompt in earnest is told.
                logger.debug("Not prepared: %s", error)
                return
            if cancel.cancelled:
                return
            logger.debug("Prepared a prompt: %s", timings)
            on_done(preparation)
