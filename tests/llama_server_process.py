"""A real llama-server on the loopback interface, for tests and measurements."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from attrs import frozen

ROOT = Path(__file__).parents[1]
_START_S = 60.0


def find_llama_server() -> Path | None:
    """Return the binary that FIM_LSP_LLAMA_SERVER names, that `make bench` built, or that is installed."""
    named = os.environ.get("FIM_LSP_LLAMA_SERVER") or shutil.which("llama-server")
    found = Path(named) if named else ROOT / "build" / "llama-server" / "cmake" / "bin" / "llama-server"
    return found if found.is_file() else None


@frozen
class LlamaServerProcess:
    """A running llama-server."""

    url: str
    process: subprocess.Popen[bytes]

    @classmethod
    @contextmanager
    def start(
        cls, binary: Path, model: Path, context: int, slots: Path, *more: str
    ) -> Iterator[LlamaServerProcess]:
        """Start a server with one slot, and end it afterwards."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [str(binary), "-m", str(model), "--port", str(port), "--host", "127.0.0.1"]
        options = ["-t", "1", "-c", str(context), "-np", "1", "--slot-save-path", f"{slots}/"]
        process = subprocess.Popen(
            [*command, *options, *more], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        server = cls(f"http://127.0.0.1:{port}", process)
        try:
            server._await_health()
            yield server
        finally:
            process.kill()
            process.wait()

    def forget(self) -> None:
        """Drop what is evaluated."""
        httpx2.post(f"{self.url}/slots/0?action=erase", trust_env=False).raise_for_status()

    def _await_health(self) -> None:
        ends_at = time.monotonic() + _START_S
        while time.monotonic() < ends_at and self.process.poll() is None:
            try:
                if httpx2.get(f"{self.url}/health", trust_env=False).status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            time.sleep(0.1)
        raise RuntimeError("llama-server did not start")
