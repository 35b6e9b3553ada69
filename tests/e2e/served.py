"""``fim-lsp serve`` as a process, for the tests of its clients."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from attrs import define, field

_LISTENS = re.compile(r"Listening on (\S+?),")
_PATIENCE_S = 120


@define
class ServedProcess:
    """A running server."""

    url: str
    log: list[str] = field(factory=list)


@asynccontextmanager
async def start_serving(
    model: str, *flags: str, env: Mapping[str, str] | None = None, command: Sequence[str] = ()
) -> AsyncIterator[ServedProcess]:
    """Start a server on a free port, and wait until its model is loaded."""
    python = command or (sys.executable, "-m", "fim_lsp")
    settings = ("model.threads=1", "model.speculation=off")
    process = await asyncio.create_subprocess_exec(
        *(*python, "serve", "--port", "0", "--model", model),
        *(part for setting in settings for part in ("--set", setting)),
        *flags,
        env={**os.environ, **(env or {})},
        stderr=asyncio.subprocess.PIPE,
    )
    served = ServedProcess("")
    assert process.stderr is not None
    stderr = process.stderr
    ready = asyncio.Event()

    async def read() -> None:
        async for line in stderr:
            served.log.append(line.decode().rstrip())
            if found := _LISTENS.search(served.log[-1]):
                served.url = found[1]
            if "Ready:" in served.log[-1]:
                ready.set()
        ready.set()

    reading = asyncio.create_task(read())
    try:
        await asyncio.wait_for(ready.wait(), _PATIENCE_S)
        assert "Ready:" in "\n".join(served.log), served.log
        yield served
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), _PATIENCE_S)
        await reading
