"""Measure the index of a workspace of many files: time, memory, and what it takes from the event loop.

    python -m benchmarks.workspace_index [--files 50000] [--model default]

Makes the files in a temporary folder, with one of them open. The index is the server's own, in this process,
with its child process and the model's vocabulary. Meanwhile a task notes how long other work holds the event
loop, in CPU time of its thread: a keystroke waits at least as long, and longer where the loop waits for the
interpreter's lock or for a processor. The same is noted without an index. Then 5,000 files change at once, as
in a branch switch, and a second start finds the saved index. Writes ``build/bench/workspace_index.json``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from attrs import evolve

from fim_lsp.models.store import ModelStore
from fim_lsp.paths import INDEX, models_folder
from fim_lsp.settings import MemorySettings, Settings
from fim_lsp.types import DocumentSnapshot
from fim_lsp.workspace.child import indexing_command
from fim_lsp.workspace.index import WorkspaceIndex

_OUT = Path("build/bench/workspace_index.json")
_IN_FOLDER, _CHANGED = 50, 5000
_TICK_S = 0.002
_WORDS = "order price stock cart user invoice total report query index store batch event token route".split()  # noqa: SIM905


def make_file(chance: random.Random, number: int) -> str:
    """Return some code, about 1.3 kB, that shares its habits with other files and has names of its own."""
    lines = ["from shop.base import Model, field", ""]
    for part in range(4):
        first, second, third = chance.sample(_WORDS, 3)
        lines += [
            "",
            f"def {first}_{second}_{number}_{part}({third}s, limit={chance.randrange(100)}):",
            f'    """Return the {first} of each {third} with a {second}."""',
            f"    found = [{third}.{first} for {third} in {third}s if {third}.{second} > limit]",
            f"    return sum(found) / max(1, len({third}s))",
            "",
        ]
    return "\n".join(lines)


def make_workspace(root: Path, count: int) -> None:
    """Write the files, some in each folder."""
    chance = random.Random(0)
    for number in range(count):
        folder = root / f"part{number // (_IN_FOLDER * 20)}" / f"area{number // _IN_FOLDER}"
        if number % _IN_FOLDER == 0:
            folder.mkdir(parents=True)
        (folder / f"module{number}.py").write_text(make_file(chance, number), encoding="utf-8")


@contextmanager
def noting_delays(delays: list[float]) -> Iterator[None]:
    """Note how long the event loop is held between two calls of a task, while the context is open.

    In milliseconds of CPU time of the loop's thread: waiting for a lock or a processor does not count.
    """

    async def tick() -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(_TICK_S)
            delays.append((time.thread_time() - before) * 1000)

    task = asyncio.get_running_loop().create_task(tick())
    try:
        yield
    finally:
        task.cancel()


def describe(delays: list[float]) -> dict[str, float]:
    """Return quantiles of delays."""
    ordered = sorted(delays)
    quantiles = {"p50": 0.5, "p99": 0.99, "p999": 0.999, "max": 1.0}
    return {name: round(ordered[int(share * (len(ordered) - 1))], 2) for name, share in quantiles.items()}


async def until(condition: Callable[[], object]) -> float:
    """Wait for a condition and return the seconds."""
    began = time.perf_counter()
    while not condition():  # noqa: ASYNC110 - what is waited for happens in another process
        await asyncio.sleep(0.01)
    return round(time.perf_counter() - began, 2)


async def start_index(root: Path, opened: Path, model: Path) -> tuple[WorkspaceIndex, dict[str, object]]:
    """Start an index as a session does, and return it with what was measured until it was ready."""
    index = WorkspaceIndex(indexing_command(), lambda: [root])
    document = DocumentSnapshot(opened.as_uri(), "python", 1, make_file(random.Random(0), 0))
    before = psutil.Process().memory_info().rss
    delays: list[float] = []
    with noting_delays(delays):
        index.settings_changed(evolve(Settings(), memory=MemorySettings()))
        index.document_opened(document)
        index.model_changed(model)
        first_s = await until(lambda: index.corpora(""))
        first_files = sum(len(part.corpus.files) for part in index.corpora(""))
        rest_s = await until(lambda: index.status.ready)
    child = psutil.Process(index.process_id)
    return index, {
        "first_useful_s": first_s,
        "first_useful_files": first_files,
        "all_s": round(first_s + rest_s, 2),
        "child_cpu_s": round(sum(child.cpu_times()[:2]), 1),
        "files": index.status.files,
        "listed": index.counts.listed,
        "from_disk": index.counts.saved,
        "tokens": index.status.tokens,
        "held_ms": describe(delays),
        "server_arrays_mb": round(index.memory_bytes / 1e6),
        "server_rss_more_mb": round((psutil.Process().memory_info().rss - before) / 1e6),
        "child_rss_mb": round(child.memory_info().rss / 1e6),
    }


def rewrite(root: Path) -> list[Path]:
    """Change thousands of files, and return them."""
    chance = random.Random(1)
    changed = sorted(root.rglob("*.py"))[:_CHANGED]
    for number, path in enumerate(changed):
        path.write_text(make_file(chance, -number), encoding="utf-8")
    return changed


async def switch_branch(root: Path, index: WorkspaceIndex) -> dict[str, object]:
    """Change thousands of files at once, and return what it costs to follow."""
    changed = rewrite(root)
    delays: list[float] = []
    with noting_delays(delays):
        before = index.status.updated
        began = time.perf_counter()
        index.files_changed([path.as_uri() for path in changed])
        sent_ms = (time.perf_counter() - began) * 1000
        await until(lambda: not index.status.ready)
        await until(lambda: index.status.ready and index.status.updated > before)
        seconds = round(time.perf_counter() - began, 2)
    return {
        "files": len(changed),
        "sent_ms": round(sent_ms, 1),
        "all_s": seconds,
        "held_ms": describe(delays),
    }


async def measure(root: Path, opened: Path, model: Path) -> dict[str, object]:
    """Run all measurements."""
    idle: list[float] = []
    with noting_delays(idle):
        await asyncio.sleep(5)
    index, cold = await start_index(root, opened, model)
    after: list[float] = []
    with noting_delays(after):
        await asyncio.sleep(5)
    switched = await switch_branch(root, index)
    await index.close()
    again, warm = await start_index(root, opened, model)
    await again.close()
    return {
        "held_ms_without_index": describe(idle),
        "cold": cold,
        "held_ms_after": describe(after),
        "branch_switch": switched,
        "second_start": warm,
    }


def main() -> None:
    """Make the files, measure, print, and delete them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--model", default="default")
    parsed = parser.parse_args()
    model = ModelStore(models_folder()).resolve(parsed.model).path
    folder = Path(tempfile.mkdtemp()).resolve()
    os.environ[INDEX.variable] = str(folder / "index")
    try:
        make_workspace(folder / "project", parsed.files)
        files = sorted((folder / "project").rglob("*.py"))
        results = asyncio.run(measure(folder / "project", files[len(files) // 2], model))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _OUT.parent.mkdir(parents=True, exist_ok=True)
    _OUT.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
