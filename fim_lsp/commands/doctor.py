"""``fim-lsp doctor``: check this machine, the model, its template and the speed, and advise changes."""

from __future__ import annotations

import argparse
import asyncio
import platform
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from fim_lsp import __version__
from fim_lsp.commands import language_server, processor
from fim_lsp.engine_factory import open_engine
from fim_lsp.errors import FimLspError
from fim_lsp.paths import STORAGE_PATHS, settings_file
from fim_lsp.settings import Settings, from_wire
from fim_lsp.strict import merge
from fim_lsp.types import CompletionRequest, DocumentSnapshot, Prompt, SamplingParams, Trigger
from fim_lsp.user_settings import read_user_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fim_lsp.engine.base import Engine

_PROBE_BEFORE = "def add(a, b):\n    return a "
_PROBE_AFTER = "\n\n\nprint(add(1, 2))\n"
_PREFILL_TOKENS = 256
_DECODE_TOKENS = 32
_COMFORTABLE_PREFILL = 100.0
"""Tokens a second. With fewer, a jump to another place in a file makes the user wait for seconds."""
_COMFORTABLE_DECODE = 15.0
_INDEX_S = 30.0
"""Seconds that the folder that the command runs in is indexed at most."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the doctor."""
    language_server.add_setting_arguments(parser)


@frozen
class Finding:
    """One line of the report."""

    about: str
    result: str
    good: bool = True
    advice: str = ""


def run(parsed: argparse.Namespace) -> int:
    """Print findings as they come. Return 1 if completions can't work."""
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False)
    settings = from_wire(merge(read_user_settings(settings_file()), language_server.flags(parsed)))
    failed = False
    for finding in examine(settings):
        failed |= not finding.good and not finding.advice.startswith("Optional")
        mark = "[green]✓[/]" if finding.good else "[yellow]![/]"
        console.print(f"{mark} [bold]{finding.about:<10}[/] {escape(finding.result)}")
        if finding.advice:
            console.print(f"  {'':<10} [yellow]{escape(finding.advice)}[/]")
    return int(failed)


def examine(settings: Settings) -> Iterator[Finding]:
    """Yield all findings, from the interpreter to the speed. Stop when the next ones can't be checked."""
    yield Finding("fim-lsp", f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    yield _interpreter()
    yield from _storage()
    if settings.model.remote.url:
        yield _server(settings)
        if settings.model.fallback is None:
            return
        settings = evolve(settings, model=evolve(settings.model, name=settings.model.fallback))
    library = processor.inspect_library()
    yield describe_library(library)
    if not library.features:
        return
    yield compare_processor(library, processor.read_processor())
    try:
        engine = open_engine(settings.model, lambda _: True)
    except FimLspError as error:
        yield Finding("model", error.problem, good=False, advice=error.remedy)
        return
    try:
        yield _threads(engine.threads.count, settings)
        info = engine.info
        size = f"{info.parameters / 1e6:.0f}M parameters, {info.size_bytes / 1e6:.0f} MB"
        yield Finding(
            "model", f"{info.name} ({info.architecture}, {size}), {info.path}", advice=info.notice or ""
        )
        yield _template(engine, settings)
        yield _probe(engine, settings)
        yield Finding("drafts", info.speculation.reason)
        yield from _speed(engine)
        if info.path is not None and settings.memory.enabled and settings.memory.workspace:
            yield index_workspace(Path.cwd(), info.path, settings)
    finally:
        engine.close()


def _server(settings: Settings) -> Finding:
    """Ask the server that prompts are sent to what it is."""
    from fim_lsp.engine.remote import open_remote

    try:
        engine = open_remote(settings.model)
    except FimLspError as error:
        return Finding("server", error.problem, good=False, advice=error.remedy)
    try:
        engine.connect()
        advice = f"Optional: {engine.info.notice}" if engine.info.notice else ""
        return Finding("server", f"prompts are sent to {engine.info.host}: {engine.info.name}", advice=advice)
    except FimLspError as error:
        return Finding("server", error.problem, good=False, advice=error.remedy)
    finally:
        engine.close()


def _interpreter() -> Finding:
    good = sys.version_info >= (3, 10)
    return Finding("Python", sys.executable, good, "" if good else "Use Python 3.10 or newer.")


def _storage() -> Iterator[Finding]:
    for place in STORAGE_PATHS:
        yield Finding("files", f"{place.path()}: {place.holds} ({place.variable} moves it)")


def describe_library(library: processor.Library) -> Finding:
    """Describe the installed build of llama.cpp, or why it can't be loaded."""
    if library.features:
        return Finding("llama.cpp", library.features)
    problem = f"can't be loaded: {library.error}"
    if library.illegal_instruction:
        problem = "this build needs instructions that the processor lacks"
    command = processor.install_command(anew=not library.missing)
    return Finding("llama.cpp", problem, good=False, advice=f"Run: {command}")


def compare_processor(library: processor.Library, found: processor.Processor | None) -> Finding:
    """Compare the build with the processor. A slower build is not a failure."""
    if found is None:
        return Finding("processor", "its instructions are unknown on this system")
    compared = processor.compare(processor.parse_library(library.features), found)
    command = processor.install_command(anew=True)
    if compared.lacking:
        return Finding(
            "processor",
            f"lacks {', '.join(compared.lacking)}, which this build of llama.cpp needs",
            good=False,
            advice=f"Run: {command}",
        )
    if compared.unused:
        return Finding(
            "processor",
            f"has {', '.join(compared.unused)}, which this build of llama.cpp does not use",
            good=False,
            advice=f"Optional: for more speed run, with a recent compiler: {command}",
        )
    return Finding("processor", f"{', '.join(compared.used)}, all used by this build of llama.cpp")


def _threads(count: int, settings: Settings) -> Finding:
    import psutil

    cores = psutil.cpu_count(logical=False) or 1
    chosen = "model.threads" if settings.model.threads else "fewer while the machine is busy"
    return Finding("threads", f"{count} on {cores} physical cores ({chosen})")


def _template(engine: Engine, settings: Settings) -> Finding:
    from fim_lsp.prompt.templates import TemplateError, choose_template

    try:
        chosen = choose_template(engine.info, engine.tokenizer, settings.model.template)
    except TemplateError as error:
        return Finding("template", error.problem, good=False, advice=error.remedy)
    if chosen.template is None:
        advice = (
            "Optional: choose a model trained for fill-in-the-middle; this one only sees the text before."
        )
        return Finding("template", chosen.reason, good=False, advice=advice)
    return Finding("template", f"{chosen.template.name}, from the {chosen.source}; {chosen.reason}")


def _probe(engine: Engine, settings: Settings) -> Finding:
    """Fill one hole through the whole pipeline."""
    from fim_lsp.completion.completer import Completer
    from fim_lsp.engine.worker import InferenceWorker

    async def fill() -> tuple[str, float]:
        worker = InferenceWorker(lambda _, __: engine)
        completer = Completer(worker)
        completer.model_changed(await worker.load(settings.model, lambda _: None), settings)
        document = DocumentSnapshot("untitled:probe.py", "python", 1, _PROBE_BEFORE + _PROBE_AFTER)
        request = CompletionRequest(document, len(_PROBE_BEFORE), Trigger.INVOKED)
        started = time.perf_counter()
        alone = evolve(settings, completion=evolve(settings.completion, candidates=1))
        completion = (await completer.complete(request, alone)).completion
        return completion.text if completion else "", (time.perf_counter() - started) * 1000

    text, waited_ms = asyncio.run(fill())
    result = f"def add(a, b): return a …  →  {text.strip()!r} after {waited_ms:.0f} ms"
    if not text:
        return Finding("probe", result, good=False, advice="The model suggested nothing; try another model.")
    return Finding("probe", result)


def _speed(engine: Engine) -> Iterator[Finding]:
    """Measure prefill and decode rates, each once on a cold cache."""
    prefill, decode = measure(engine)
    yield Finding(
        "prefill",
        f"{prefill:.0f} tokens a second",
        good=prefill >= _COMFORTABLE_PREFILL,
        advice="" if prefill >= _COMFORTABLE_PREFILL else _slow("lower prompt.maxTokens"),
    )
    yield Finding(
        "decode",
        f"{decode:.0f} tokens a second",
        good=decode >= _COMFORTABLE_DECODE,
        advice="" if decode >= _COMFORTABLE_DECODE else _slow("lower sampling.maxTokens"),
    )


def measure(engine: Engine) -> tuple[float, float]:
    """Return the tokens a second of a prefill and of decoding after it."""
    from fim_lsp.engine.base import CancelToken

    words = engine.tokenizer.encode(
        "import os\n\n\ndef walk(folder):\n    return os.listdir(folder)\n\n\n" * 40
    )
    prompt = Prompt(head=words[:_PREFILL_TOKENS], tail="")
    sampling = SamplingParams(max_tokens=_DECODE_TOKENS)
    (generation,) = engine.generate(prompt, sampling, CancelToken(), [lambda _: True])
    timings = generation.timings
    prefill = timings.evaluated_tokens / max(timings.prefill_ms, 1e-3) * 1000
    return prefill, max(timings.generated_tokens - 1, 1) / max(timings.decode_ms, 1e-3) * 1000


def index_workspace(folder: Path, model: Path, settings: Settings) -> Finding:
    """Index a folder as a server would, for a while, and return time and size."""
    from fim_lsp.workspace.child import indexing_command
    from fim_lsp.workspace.index import WorkspaceIndex

    async def measure() -> Finding:
        remarks: list[str] = []
        index = WorkspaceIndex(indexing_command(), lambda: [folder], on_remark=remarks.append)
        index.settings_changed(settings)
        index.model_changed(model)
        ends = time.monotonic() + _INDEX_S
        # Its progress is that of another process.
        while time.monotonic() < ends and not index.status.ready and not remarks:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        status, size = index.status, index.memory_bytes / 1e6
        await index.close()
        if remarks:
            return Finding("index", remarks[0])
        result = f"{status.files:,} files of {folder}, {status.tokens:,} tokens, {size:.0f} MB"
        if not status.ready:
            return Finding("index", f"{result} after {_INDEX_S:.0f} s, and not done yet")
        return Finding("index", f"{result} in {status.seconds:.1f} s")

    return asyncio.run(measure())


def _slow(otherwise: str) -> str:
    return f"Optional: use a smaller model, set model.threads or model.gpuLayers, or {otherwise}."
