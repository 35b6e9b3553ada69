"""Timers on the running event loop, as a value that tests replace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

CancelTimer: TypeAlias = Callable[[], None]
"""Cancels a timer. Does nothing if the timer has run."""
RunLater: TypeAlias = Callable[[float, Callable[[], object]], CancelTimer]
"""Runs a function after so many seconds, unless it is cancelled."""


def run_later(delay_s: float, function: Callable[[], object]) -> CancelTimer:
    """Run a function on the running event loop after a delay, and return how to cancel that."""
    return asyncio.get_running_loop().call_later(delay_s, function).cancel
