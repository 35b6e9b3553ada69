"""The connection to the process that indexes: start it, speak to it, start it again if it dies, end it."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from fim_lsp.workspace.frames import LENGTHS, Report, encode_frame

logger = logging.getLogger(__name__)

_RESTARTS = 2
"""Times that the process is started again after it died."""
_CLOSE_S = 1.0
"""Seconds that the process has to save its index when the session ends."""
_KILL_S = 1.0
"""Seconds that a killed process is waited for; one that hangs in a read can't end at once."""
_MOST_BYTES = 1 << 30


class IndexingChild:
    """One child process at a time. Lives on one asyncio loop.

    Args:
        command: starts the process.
        on_report: called with each report.
        on_started: returns the messages that a new process begins with.
        on_given_up: called with a reason when there will be no process any more.
    """

    def __init__(
        self,
        command: Sequence[str],
        on_report: Callable[[Report], None],
        on_started: Callable[[], Sequence[Mapping[str, Any]]],
        on_given_up: Callable[[str], None],
    ) -> None:
        self._command = command
        self._on_report = on_report
        self._on_started = on_started
        self._on_given_up = on_given_up
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._waiting: deque[Mapping[str, Any]] = deque()

    @property
    def process_id(self) -> int | None:
        """The id of the process; None while none runs."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the process, unless it runs."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def send(self, *messages: Mapping[str, Any]) -> None:
        """Send messages in their order, one in each turn of the event loop; a single one at once if it can.

        One that a dying process does not get is of no use any more.
        """
        if self._process is None:
            return
        is_sending = bool(self._waiting)
        self._waiting.extend(messages)
        if not is_sending:
            self._send_next()

    def _send_next(self) -> None:
        if self._waiting:
            self._write(self._waiting.popleft())
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._send_next)

    def _write(self, message: Mapping[str, Any]) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError, RuntimeError):
                self._process.stdin.write(encode_frame(message))

    async def close(self) -> None:
        """End the process: let it save its index for a moment, then kill it.

        A process that hangs in a read of a network drive can't even be killed at once.
        """
        self._waiting.clear()
        process, task = self._process, self._task
        self._process, self._task, self._closing = None, None, True
        if process is not None and process.stdin is not None:
            with suppress(OSError, RuntimeError):
                process.stdin.close()
            with suppress(asyncio.TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(process.wait(), _CLOSE_S)
            if process.returncode is None:
                with suppress(OSError):
                    process.kill()
                with suppress(asyncio.TimeoutError, asyncio.CancelledError):
                    await asyncio.wait_for(process.wait(), _KILL_S)
        if task is not None:
            task.cancel()

    async def _run(self) -> None:
        for _ in range(_RESTARTS + 1):
            try:
                await self._run_once()
            except (OSError, ValueError, TypeError, KeyError) as error:
                logger.info("The process that indexes the workspace failed: %r", error)
            if self._closing:
                return
            process, self._process = self._process, None
            if process is not None and process.returncode is None:
                with suppress(OSError):
                    process.kill()
        self._on_given_up("The workspace is not indexed: the process that does it ended; see the log.")

    async def _run_once(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            limit=1 << 20,
        )
        self._process = process
        assert process.stdout is not None
        # What waits is for a process that died; this one looks at everything.
        self._waiting.clear()
        for message in self._on_started():
            self._write(message)
        try:
            while True:
                header, payload = LENGTHS.unpack(await process.stdout.readexactly(LENGTHS.size))
                if header > _MOST_BYTES or payload > _MOST_BYTES:
                    raise ValueError(f"a report of {header + payload} bytes")
                parts = [await process.stdout.readexactly(size) for size in (header, payload)]
                self._on_report(Report.decode(*parts))
                # What was read already is returned without a pause, and so would hold the loop.
                await asyncio.sleep(0)
        except asyncio.IncompleteReadError:
            logger.debug("The process that indexes the workspace ended")


def indexing_command() -> list[str]:
    """Return the command of the process that indexes."""
    return [sys.executable, "-m", "fim_lsp.indexing_process"]
