"""Kill the server while it answers, and measure how soon the fallback has answered in the editor.

Each round starts a llama-server and a language server, both from cold, has one suggestion from the server,
and kills it (``SIGKILL``) while it evaluates the prompt of a long file, or while it writes an answer.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from attrs import frozen

from fim_lsp.commands.language_server import command_line
from fim_lsp.errors import FimLspError
from fim_lsp.lsp.client import HeadlessEditor, OpenFile, start_editor
from fim_lsp.models.store import ModelStore
from fim_lsp.paths import models_folder
from tests.llama_server_process import LlamaServerProcess

Phase = Literal["prompt", "answer"]
"""What the server was doing when it was killed."""

_BEFORE = "def average(numbers):\n    total = sum(numbers)\n    return tot"
_AFTER = "\n\n\nprint(average([1, 2]))\n"
_LONG = "".join(f"def f{index}(x):\n    return x * {index}\n\n\n" for index in range(60))
_ANSWER_S = 60.0
_INTO_PROMPT_S = 0.05
_INTO_ANSWER_S = 0.06


class NoFallbackError(FimLspError):
    """The editor got no answer."""


@frozen
class KillResult:
    """The answer after one kill."""

    phase: Phase
    answered_ms: float
    """Milliseconds from the kill to the answer in the editor."""
    by_fallback: bool
    """False if the whole answer came from the server before it was killed."""
    evaluated: int
    """Prompt tokens that the fallback evaluated."""
    prefill_ms: float
    decode_ms: float
    generated: int
    next_ms: float
    """Milliseconds to the suggestion after the next key."""


def kill(binary: Path, model: str, phase: Phase, threads: int) -> KillResult:
    """Run one round.

    Raises:
        NoFallbackError: there was no answer within a minute.
    """
    path = ModelStore(models_folder()).resolve(model).path
    with TemporaryDirectory() as slots, LlamaServerProcess.start(binary, path, 2048, Path(slots)) as server:
        return asyncio.run(_round(server, model, phase, threads))


async def _round(server: LlamaServerProcess, model: str, phase: Phase, threads: int) -> KillResult:
    settings = {
        "model.remote.url": server.url,
        "model.fallback": model,
        # The closed connection alone makes the fallback answer, not the wait for text.
        "model.remote.fallbackAfterMs": 30_000,
        "model.threads": threads,
        "model.kvStateMb": 0,
        "completion.cacheSize": 0,
        "completion.eagerness": "eager",
        "feedback.enabled": "false",
    }
    flags = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    async with start_editor(command_line(flags)) as editor:
        await editor.ready()
        file = editor.open("/killing/short.py", "python", _BEFORE + _AFTER, len(_BEFORE))
        await _answer(editor, file)
        if phase == "prompt":
            text = _LONG + _BEFORE
            file = editor.open("/killing/long.py", "python", text + _AFTER, len(text))
        else:
            editor.insert(file, "a")
        asked = asyncio.create_task(_answer(editor, file))
        await asyncio.sleep(_INTO_PROMPT_S if phase == "prompt" else _INTO_ANSWER_S)
        server.process.kill()
        killed = time.perf_counter()
        await asked
        answered_ms = (time.perf_counter() - killed) * 1000
        explanation = await editor.explain()
        timings: Any = explanation["timings"]
        editor.insert(file, "l")
        typed = time.perf_counter()
        await _answer(editor, file)
        next_ms = (time.perf_counter() - typed) * 1000
        return KillResult(
            phase,
            round(answered_ms, 1),
            bool(explanation["notice"]),
            timings["evaluatedTokens"],
            round(timings["prefillMs"], 1),
            round(timings["decodeMs"], 1),
            timings["generatedTokens"],
            round(next_ms, 1),
        )


async def _answer(editor: HeadlessEditor, file: OpenFile) -> None:
    try:
        await asyncio.wait_for(editor.request(file, invoked=True).answer, _ANSWER_S)
    except asyncio.TimeoutError:
        raise NoFallbackError(f"There was no answer within {_ANSWER_S:g} s.") from None


def summary(results: Sequence[KillResult]) -> dict[str, Any]:
    """Return the median and the longest time of each phase, over the answers of the fallback."""
    found: dict[str, Any] = {}
    for phase in ("prompt", "answer"):
        own = [result for result in results if result.phase == phase]
        times = [result.answered_ms for result in own if result.by_fallback]
        found[phase] = {
            "rounds": len(own),
            "answered_before_the_kill": sum(not result.by_fallback for result in own),
            "median_ms": statistics.median(times) if times else None,
            "longest_ms": max(times, default=None),
            "next_key_median_ms": statistics.median([result.next_ms for result in own]) if own else None,
        }
    return found
