"""``python -m benchmarks.keystrokes``: measure, write the figures, and print the table."""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from attrs import evolve

from benchmarks.keystrokes.measurement import PEERS, BenchmarkPlan, measure
from benchmarks.keystrokes.memory import measure_memory, write_memory
from benchmarks.keystrokes.report import BenchmarkResults, markdown, write_figures, write_plots
from benchmarks.keystrokes.server import find_server
from fim_lsp.errors import FimLspError
from fim_lsp.paths import USER_PATHS, variables_for

_SHORT = BenchmarkPlan(
    models=BenchmarkPlan().models[:1],
    peers=("fim-lsp",),
    lengths=(512,),
    keys=20,
    predict=8,
    busy=(0,),
    pace=0.0,
    folder=Path("build/bench/short"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for."""
    chosen = _parser().parse_args(arguments)
    try:
        plan = _plan(chosen)
        # Measure without the user's own settings, and leave their statistics and KV states alone.
        os.environ.update(variables_for(plan.folder.resolve() / "user", USER_PATHS))
        if chosen.memory:
            found = asyncio.run(measure_memory(plan, chosen.memory))
            for name, peer in found["peers"].items():
                print(f"{name}: {peer['rss_mb'][-1][1]} MB, grown by {peer['growth_mb']} MB")
            print(f"Written to {write_memory(found, plan.folder)}.")
        else:
            print(markdown(asyncio.run(_measure(plan))))
    except FimLspError as error:
        print(f"keystrokes: {error}", file=sys.stderr)
        return 1
    return 0


async def _measure(plan: BenchmarkPlan) -> BenchmarkResults:
    """Measure; write the figures after each part, so that a run that is ended early keeps them."""
    about = _about(plan)
    results = BenchmarkResults(about, (), {})
    try:
        async for results in measure(plan):
            results = evolve(results, about=about)
            written = write_figures(results, plan.folder)
            print(f"Written to {', '.join(map(str, written))}.", file=sys.stderr)
    finally:
        if results.runs:
            draw(results, plan.folder)
    return results


def draw(results: BenchmarkResults, folder: Path) -> None:
    """Draw the plots, if they can be drawn."""
    try:
        drawn = write_plots(results, folder)
    except Exception as error:  # A plot must not end a run whose figures are written.
        print(f"No plots: {error}", file=sys.stderr)
    else:
        print(f"Drawn: {', '.join(map(str, drawn))}.", file=sys.stderr)


def _about(plan: BenchmarkPlan) -> dict[str, Any]:
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "physical_cores": psutil.cpu_count(logical=False),
        "python": platform.python_version(),
        "llama_cpp_python": version("llama-cpp-python"),
        "threads": plan.threads,
        "prompt_tokens": plan.prompt_tokens,
        "predict": plan.predict,
        "layout": plan.layout,
        "notices": plan.notices,
        "cold_ms": plan.cold_ms,
        "rounds": plan.rounds,
        "seed": plan.seed,
        "busy_processes": max(plan.busy),
    }


def _plan(chosen: argparse.Namespace) -> BenchmarkPlan:
    plan = _SHORT if chosen.short else BenchmarkPlan()
    given: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in vars(chosen).items()
        if value is not None and key not in ("short", "memory", "llama_server")
    }
    if "keys" in given:
        given["random_keys"] = given["keys"]
    if given.get("cold_ms") == math.inf:
        given["cold_ms"] = None
    plan = evolve(plan, **given)
    if set(plan.peers) <= {"fim-lsp", "served"}:
        return plan
    return evolve(plan, binary=find_server(chosen.llama_server))


def _parser() -> argparse.ArgumentParser:
    plan = BenchmarkPlan()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.keystrokes",
        description="Replay a typist against fim-lsp and llama-server, and compare.",
    )
    parser.add_argument("--short", action="store_true", help="fim-lsp alone, counts alone, no pauses: for CI")
    parser.add_argument("--memory", type=_count, metavar="N", help="send N requests and watch the memory")
    parser.add_argument("--models", nargs="+", metavar="NAME|PATH", help=f"default: {' '.join(plan.models)}")
    parser.add_argument("--peers", nargs="+", choices=PEERS, help="default: all")
    parser.add_argument("--lengths", nargs="+", type=_count, metavar="TOKENS", help="of the files typed in")
    parser.add_argument("--random-lengths", nargs="+", type=_count, metavar="TOKENS", dest="random_lengths")
    parser.add_argument("--keys", type=_count, help=f"characters typed a trace, default {plan.keys}")
    parser.add_argument("--rounds", type=_count, help="traces for each length")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--predict", type=_count, help=f"most tokens a suggestion, default {plan.predict}")
    parser.add_argument("--threads", type=_count, help=f"of each server, default {plan.threads}")
    parser.add_argument("--prompt-tokens", type=_count, dest="prompt_tokens")
    parser.add_argument("--layout", choices=("auto", "plain", "anchored"), help="fim-lsp's prompt.layout")
    parser.add_argument(
        "--cold-ms", type=_milliseconds, dest="cold_ms", metavar="MS|none", help="fim-lsp's prompt.coldMs"
    )
    parser.add_argument(
        "--no-notices", action="store_false", dest="notices", help="do not tell where the cursor rests"
    )
    parser.add_argument(
        "--busy", nargs="+", type=int, metavar="N", help="other processes that spin, default 0 1"
    )
    parser.add_argument("--llama-server", type=Path, metavar="PATH", help="default: built when it is missing")
    parser.add_argument("--output", type=Path, dest="folder", help=f"default: {plan.folder}")
    return parser


def _milliseconds(text: str) -> float:
    return math.inf if text == "none" else float(text)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
