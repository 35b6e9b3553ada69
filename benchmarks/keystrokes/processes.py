"""Measure the CPU time and memory of processes, and keep the machine busy with others."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from attrs import frozen


@frozen
class ProcessTree:
    """A process and its descendants."""

    root: psutil.Process

    def cpu_s(self) -> float:
        """Return the CPU seconds, user and system, of the processes that are alive."""
        return sum(times.user + times.system for times in map(psutil.Process.cpu_times, self._alive()))

    def rss_mb(self) -> float:
        """Return the resident memory in megabytes, with mapped weights."""
        return sum(process.memory_info().rss for process in self._alive()) / 1e6

    def _alive(self) -> list[psutil.Process]:
        return [self.root, *self.root.children(recursive=True)]


def children() -> set[psutil.Process]:
    """Return this process's own children, to find the one that a library starts."""
    return set(psutil.Process().children())


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keep processes spinning, as a build or a test run does."""
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
        for process in spinning:
            process.wait()
