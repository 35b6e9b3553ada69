"""Write feedback on a thread of its own, so that no answer waits for a disk.

A write that fails is dropped, and the first failure is logged: feedback must not disturb the user.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from fim_lsp.feedback.store import FeedbackError, FeedbackStore, feedback_path

logger = logging.getLogger(__name__)

Job = Callable[[FeedbackStore], None]


def _open_store() -> FeedbackStore:
    return FeedbackStore(feedback_path())


class FeedbackWriter:
    """Owns the connection to one feedback file. Opens it with the first job, on its own thread."""

    def __init__(self, open_store: Callable[[], FeedbackStore] = _open_store) -> None:
        self._open_store = open_store
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="feedback")
        self._store: FeedbackStore | None = None
        self._has_warned = False

    def submit(self, job: Job) -> Future[None]:
        """Queue a job. It never raises, and callers need not wait for it."""
        return self._thread.submit(self._run, job)

    async def close(self, timeout_s: float = 3.0) -> None:
        """Write what is queued and close the file. Give up after ``timeout_s``, if the disk hangs."""
        last = self._thread.submit(self._close)
        self._thread.shutdown(wait=False)
        try:
            await asyncio.wait_for(asyncio.wrap_future(last), timeout_s)
        except asyncio.TimeoutError:
            logger.warning("The last feedback could not be written in time.")

    def _run(self, job: Job) -> None:
        try:
            if self._store is None:
                self._store = self._open_store()
            job(self._store)
        except Exception as error:
            self._close()  # The next job opens the file again, and moves a damaged one aside.
            if not self._has_warned:
                self._has_warned = True
                known = isinstance(error, FeedbackError)
                logger.warning("Feedback is not kept: %s", error, exc_info=None if known else error)

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None
