"""``python -m benchmarks.serving``: load a server, abort requests, or compare it with llama-server."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import psutil
from attrs import evolve

from benchmarks.keystrokes.measurement import BenchmarkPlan
from benchmarks.keystrokes.server import find_server
from benchmarks.keystrokes.sources import source_pair
from benchmarks.keystrokes.traces import Trace, record_trace
from benchmarks.serving.beside import beside, table
from benchmarks.serving.client import OVERTAKEN, ClientRecord, TypingClient
from fim_lsp.errors import FimLspError
from fim_lsp.paths import USER_PATHS, variables_for

_LOADING_S = 300.0
_FILE_CHARS = 3000
_SCRIPTED = "benchmarks.serving.scripted"
_EXPECTED = ("200", "429", OVERTAKEN)
"""Everything else that a client meets is an error."""


class LoadError(FimLspError):
    """The server did not start."""


@asynccontextmanager
async def serving(
    command: Sequence[str], log: Path
) -> AsyncIterator[tuple[httpx.AsyncClient, psutil.Process]]:
    """Run a server on a free port; its model is loaded when the block begins."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(*command, "--port", str(port), stderr=output)
    limits = httpx.Limits(max_connections=256, max_keepalive_connections=0)
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=120, limits=limits
        ) as client:
            await _ready(client)
            yield client, psutil.Process(process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _ready(client: httpx.AsyncClient) -> None:
    end_s = time.perf_counter() + _LOADING_S
    while time.perf_counter() < end_s:
        try:
            if (await client.get("/health")).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)
    raise LoadError("The server did not start.", "See its log.")


async def typing(chosen: argparse.Namespace) -> dict[str, Any]:
    """Let many clients type, and return what they met."""
    async with serving(_command(chosen), chosen.output / "serve.log") as (client, process):
        records = [ClientRecord(f"editor-{number}") for number in range(chosen.clients)]
        end_s = time.perf_counter() + chosen.seconds
        memory = asyncio.create_task(_watch(process, end_s))
        await asyncio.gather(
            *(
                TypingClient(client, _trace(number), record, chosen.predict or 16).type_until(end_s, number)
                for number, record in enumerate(records)
            )
        )
        sizes = await memory
        grown = round(sizes[-1] - sizes[len(sizes) // 2], 1) if sizes else None
        return {**summary(records), "rss_mb": sizes, "rss_grown_in_second_half_mb": grown}


def _command(chosen: argparse.Namespace) -> list[str]:
    if chosen.scripted:
        return [sys.executable, "-m", _SCRIPTED]
    settings = {
        "model.threads": chosen.threads,
        "model.sequences": chosen.sequences,
        "model.kvStateMb": 0,
        "prompt.maxTokens": chosen.prompt_tokens or 256,
    }
    flags = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    return [sys.executable, "-m", "fim_lsp", "serve", "--model", chosen.model, *flags]


def _trace(number: int) -> Trace:
    files = source_pair(_FILE_CHARS // 4, number % 8, lambda text: len(text) // 4)
    return record_trace(files, 40, number)


async def _watch(process: psutil.Process, end_s: float) -> list[float]:
    """Return the resident memory in megabytes, ten times until the end."""
    sizes: list[float] = []
    pause_s = max(0.5, (end_s - time.perf_counter()) / 10)
    while time.perf_counter() < end_s:
        await asyncio.sleep(pause_s)
        sizes.append(round(process.memory_info().rss / 1e6, 1))
    return sizes


def summary(records: Sequence[ClientRecord]) -> dict[str, Any]:
    """Return the figures of all clients together, and of the slowest against the fastest."""
    statuses: Counter[str] = sum((record.statuses for record in records), Counter())
    times = sorted(ms for record in records for ms in record.shown_ms)
    answered = [record.answered for record in records]
    medians = [statistics.median(record.shown_ms) for record in records if record.shown_ms]
    refused_s = sorted(second for record in records for second in record.retry_after_s)
    return {
        "clients": len(records),
        "statuses": dict(statuses),
        "errors": sum(count for status, count in statuses.items() if status not in _EXPECTED),
        "answered": len(times),
        "median_ms": round(statistics.median(times), 1) if times else None,
        "p95_ms": round(times[int(0.95 * (len(times) - 1))], 1) if times else None,
        "retry_after_s": [refused_s[0], refused_s[-1]] if refused_s else None,
        "answered_by_client": [min(answered), max(answered)],
        "median_ms_by_client": [round(min(medians), 1), round(max(medians), 1)] if medians else None,
        "slowest_to_fastest": round(max(medians) / min(medians), 2) if medians else None,
    }


async def aborting(chosen: argparse.Namespace) -> dict[str, Any]:
    """Close the connection of many requests early, and return what is left of them."""
    command = [sys.executable, "-m", _SCRIPTED]
    async with serving(command, chosen.output / "aborts.log") as (client, process):
        body = {"prompt": "x = 1\n" * 200, "max_tokens": 1000}

        async def abort(number: int) -> None:
            sent = {**body, "stream": bool(number % 2)}
            headers = {"X-Client-Id": f"editor-{number % 20}"}
            asked = asyncio.create_task(client.post("/v1/completions", json=sent, headers=headers))
            # Some while they wait, some in their prompt, some in their answer.
            await asyncio.sleep(0.02 + 0.015 * (number % 20))
            asked.cancel()
            await asyncio.wait({asked})

        sizes: list[dict[str, float]] = []
        for start in range(0, chosen.aborts, 20):
            count = min(20, chosen.aborts - start)
            await asyncio.gather(*(abort(start + number) for number in range(count)))
            if start % max(20, chosen.aborts // 10 // 20 * 20) == 0:
                sizes.append(_left(process))
        await asyncio.sleep(1)
        answer = await client.post("/v1/completions", json={"prompt": "x", "max_tokens": 1})
        counts = (await client.get("/metrics")).text.splitlines()
        told = ("fim_lsp_waiting", "fim_lsp_running", "fim_lsp_cancelled_total", "fim_lsp_requests_total")
        metrics = [line for line in counts if line.startswith(told)]
        slots = (await client.get("/slots")).json()
        return {
            "aborted": chosen.aborts,
            "left": [*sizes, _left(process)],
            "metrics": metrics,
            "sequences": len(slots),
            "sequences_in_use": sum(slot["is_processing"] for slot in slots),
            "status_after": answer.status_code,
        }


def _left(process: psutil.Process) -> dict[str, float]:
    return {
        "rss_mb": round(process.memory_info().rss / 1e6, 1),
        "threads": process.num_threads(),
        "files": process.num_fds(),
    }


async def comparing(chosen: argparse.Namespace) -> dict[str, Any]:
    """Compare llama.vim on ``fim-lsp serve`` with llama.vim on llama-server, and print a table."""
    plan = evolve(
        BenchmarkPlan(),
        models=(chosen.model,),
        lengths=(chosen.file_tokens,),
        keys=chosen.keys,
        rounds=chosen.rounds,
        predict=chosen.predict or BenchmarkPlan().predict,
        threads=chosen.threads,
        prompt_tokens=chosen.prompt_tokens or BenchmarkPlan().prompt_tokens,
        busy=(0,),
        binary=find_server(chosen.llama_server),
        folder=chosen.output,
    )
    # Without the user's own settings and saved KV states.
    os.environ.update(variables_for(chosen.output.resolve() / "user", USER_PATHS))
    found = await beside(plan)
    (chosen.output / "beside.md").write_text(table(found) + "\n", encoding="utf-8")
    print(table(found), file=sys.stderr)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--predict", type=int, help="most tokens a suggestion (16; beside 32)")
    parser.add_argument("--model", default="default", help="name in the catalog, or path of a GGUF file")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sequences", type=int, default=32, help="of the KV cache")
    parser.add_argument("--prompt-tokens", type=int, help="most of a prompt (256; beside 1024)")
    parser.add_argument("--scripted", action="store_true", help="an engine without weights: the server alone")
    parser.add_argument("--aborts", type=int, help="abort so many requests instead, on a scripted engine")
    parser.add_argument("--beside", action="store_true", help="replay llama.vim beside llama-server instead")
    parser.add_argument("--llama-server", type=Path, metavar="PATH", help="default: built when it is missing")
    parser.add_argument("--file-tokens", type=int, default=4096, help="length of the file typed in (beside)")
    parser.add_argument("--keys", type=int, default=32, help="characters typed a trace (beside)")
    parser.add_argument("--rounds", type=int, default=2, help="traces (beside)")
    parser.add_argument("--output", type=Path, default=Path("build/bench/serving"))
    chosen = parser.parse_args(arguments)
    try:
        run = aborting if chosen.aborts else comparing if chosen.beside else typing
        found = asyncio.run(run(chosen))
    except FimLspError as error:
        print(f"serving: {error}", file=sys.stderr)
        return 1
    text = json.dumps(found, indent=1)
    (chosen.output / f"{run.__name__}.json").write_text(text + "\n", encoding="utf-8")
    print(text)
    return int(bool(found.get("errors")))


if __name__ == "__main__":
    sys.exit(main())
