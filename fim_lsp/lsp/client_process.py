"""Notice that the client's process is gone, so that the server does not outlive it.

A client that is killed closes the pipe of its server, unless a process that it started holds the pipe open.
"""

from __future__ import annotations

import asyncio

import psutil

CHECK_S = 2.0
"""Seconds between two looks at the process."""


async def wait_until_gone(process_id: int, check_s: float = CHECK_S) -> None:
    """Return when the process has ended, at once if there is none. A zombie counts as ended."""
    try:
        process = psutil.Process(process_id)
        # is_running compares the start time, so another process with the same id does not count.
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110
            await asyncio.sleep(check_s)
    except psutil.NoSuchProcess:
        return


def is_process_id(value: int) -> bool:
    """Tell whether a client's ``processId`` may name a process."""
    return 0 < value < 2**31
