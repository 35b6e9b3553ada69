"""Measure the index of a workspace of many files: time, memory, and what it takes from the event loop.

    python -m benchmarks.workspace_index [--files 50000] [--model default]

Makes the files in a temporary folder, with one of them open. The index is the server's own, in this process,
with its child process and the model's vocabulary. Meanwhile each step of the event loop is timed, by the
clock and in CPU time of its thread: a keystroke waits for the step that runs when it comes. Where the clock
says much more, the loop waited for the interpreter's lock or for a processor. Besides, a key is simulated 20
times a second: how late the loop turns to it, and what its repository memory costs. The same is noted without
an index. Then 5,000 files change at once, as in a branch switch, and a second start finds the saved index.
Writes ``build/bench/workspace_index.json``.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
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
from attrs import define, evolve, field

from fim_lsp.completion.open_documents import OpenDocuments
from fim_lsp.completion.request_memories import RequestMemories
from fim_lsp.engine.memory import CorpusSource, no_corpora
from fim_lsp.engine.scripted import ByteTokenizer
from fim_lsp.models.store import ModelStore
from fim_lsp.paths import INDEX, models_folder
from fim_lsp.settings import MemorySettings, Settings
from fim_lsp.types import CompletionRequest, DocumentSnapshot
from fim_lsp.workspace.child import indexing_command
from fim_lsp.workspace.index import WorkspaceIndex

_OUT = Path("build/bench/workspace_index.json")
_IN_FOLDER, _CHANGED = 50, 5000
_KEY_S = 0.05
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


@define
class Delays:
    """Times of the steps on the event loop, in milliseconds."""

    steps_cpu: list[float] = field(factory=list)
    """CPU time of each step."""
    steps: list[float] = field(factory=list)
    """Time of each step by the clock."""
    keys_late: list[float] = field(factory=list)
    """Time by which the loop turned too late to each simulated key."""
    keys_cpu: list[float] = field(factory=list)
    """CPU time that the repository memory of each key took."""

    def describe(self) -> dict[str, dict[str, float]]:
        """Return quantiles."""
        noted = {
            "step_cpu_ms": self.steps_cpu,
            "step_ms": self.steps,
            "key_late_ms": self.keys_late,
            "key_cpu_ms": self.keys_cpu,
        }
        return {name: _describe(values) for name, values in noted.items()}


@contextmanager
def noting_delays(delays: Delays, corpora: CorpusSource = no_corpora) -> Iterator[None]:
    """Note how long each step holds the event loop, and what a key costs, while the context is open."""
    # The loop has no hook for it.
    run, is_open = asyncio.Handle._run, True

    def run_timed(handle: asyncio.Handle) -> None:
        cpu, clock = time.thread_time(), time.perf_counter()
        run(handle)
        # The step that ends this goes on with other work of the benchmark.
        if is_open:
            delays.steps_cpu.append((time.thread_time() - cpu) * 1000)
            delays.steps.append((time.perf_counter() - clock) * 1000)

    async def press_keys() -> None:
        memories, text = RequestMemories(OpenDocuments(), corpora), make_file(random.Random(0), 0)
        memories.model_changed(ByteTokenizer().encode)
        loop, settings = asyncio.get_running_loop(), Settings()
        for version in itertools.count():
            due = loop.time() + _KEY_S
            await asyncio.sleep(_KEY_S)
            delays.keys_late.append((loop.time() - due) * 1000)
            before = time.thread_time()
            document = DocumentSnapshot("file:///typed/here.py", "python", version, text)
            memories.of(CompletionRequest(document, len(text) // 2), settings)
            delays.keys_cpu.append((time.thread_time() - before) * 1000)

    task = asyncio.get_running_loop().create_task(press_keys())
    asyncio.Handle._run = run_timed  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        is_open = False
        asyncio.Handle._run = run  # type: ignore[method-assign]
        task.cancel()


def _describe(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
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
    delays = Delays()
    with noting_delays(delays, index.corpora):
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
        "event_loop": delays.describe(),
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
    delays = Delays()
    with noting_delays(delays, index.corpora):
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
        "event_loop": delays.describe(),
    }


async def measure(root: Path, opened: Path, model: Path) -> dict[str, object]:
    """Run all measurements."""
    # As the server does once a model is loaded.
    gc.freeze()
    idle, after = Delays(), Delays()
    with noting_delays(idle):
        await asyncio.sleep(5)
    index, cold = await start_index(root, opened, model)
    with noting_delays(after, index.corpora):
        await asyncio.sleep(5)
    switched = await switch_branch(root, index)
    await index.close()
    again, warm = await start_index(root, opened, model)
    await again.close()
    return {
        "event_loop_without_index": idle.describe(),
        "cold": cold,
        "event_loop_after": after.describe(),
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
