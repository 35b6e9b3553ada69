"""One thread that writes feedback, so that no answer ever waits for a disk.

What fails is dropped, and said in the log once: feedback is never worth a disturbance.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from fim_lsp.feedback.store import FeedbackError, FeedbackStore, feedback_path

logger = logging.getLogger(__name__)

Job = Callable[[FeedbackStore], None]


class FeedbackWriter:
    """Owns the connection to one feedback file; opens it, on its own thread, with the first job."""

    def __init__(self, locate: Callable[[], Path] = feedback_path) -> None:
        self._locate = locate
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="feedback")
        self._store: FeedbackStore | None = None
        self._complained = False

    def submit(self, job: Job) -> Future[None]:
        """Queue a job; nobody needs to wait for it, and it never raises."""
        return self._thread.submit(self._run, job)

    async def close(self, timeout_s: float = 3.0) -> None:
        """Write what is queued and close the file; a disk that hangs is left behind after the time."""
        last = self._thread.submit(self._close)
        self._thread.shutdown(wait=False)
        try:
            await asyncio.wait_for(asyncio.wrap_future(last), timeout_s)
        except asyncio.TimeoutError:
            logger.warning("The last feedback could not be written in time.")

    def _run(self, job: Job) -> None:
        try:
            if self._store is None:
                self._store = FeedbackStore(self._locate())
            job(self._store)
        except Exception as error:
            self._close()  # opened anew with the next job: a damaged file is moved aside then
            if not self._complained:
                self._complained = True
                known = isinstance(error, FeedbackError)
                logger.warning("Feedback is not kept: %s", error, exc_info=None if known else error)

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None
