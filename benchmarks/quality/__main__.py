"""Measure the quality of suggestions in real repositories: ``python -m benchmarks.quality --help``."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from attrs import field, frozen

from benchmarks.keystrokes.measurement import BenchmarkPlan, open_peers, subject
from benchmarks.quality.arms import ARMS, LLAMA_VIM, QualityArm, make_arm
from benchmarks.quality.holes import QualityHole, cut_holes, interleave, read_sources
from benchmarks.quality.report import compute_figures, markdown, write_report
from benchmarks.quality.repositories import RELEASES, fetch
from benchmarks.quality.results import HoleResult, append_result, make_result, read_results
from benchmarks.quality.screens import LlamaVimScreen, Screen, server_screen
from benchmarks.quality.typist import ShownText, type_text
from fim_lsp.errors import FimLspError

_LLAMA_VIM_PREDICT = 128
"""llama.vim's default for the most tokens of a suggestion."""
_MOST_TYPED = 60
"""Characters of a hole that the simulated typist writes."""


@frozen
class Plan:
    """What is measured."""

    arms: tuple[QualityArm, ...]
    repositories: Mapping[str, Path] = field(repr=False)
    holes: tuple[QualityHole, ...] = field(repr=False)
    typed: int
    """Number of holes that are typed, from the first one on."""
    model: str
    folder: Path
    command: tuple[str, ...] = field(repr=False)
    """The server's command line."""
    label: str = ""
    """The name of the only arm in the results; empty for its own."""
    llama_server: Path | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark, and print the tables."""
    parsed = _parser().parse_args(arguments)
    try:
        plan = make_plan(parsed)
        asyncio.run(run(plan))
    except FimLspError as error:
        print(error, file=sys.stderr)
        return 1
    holes = {hole.name: hole for hole in plan.holes}
    about = {
        "model": plan.model,
        "repositories": ", ".join(plan.repositories),
        "holes": len(holes),
        "typed": plan.typed,
        "seed": parsed.seed,
    }
    figures = compute_figures(read_results(plan.folder / "quality.jsonl"), holes, about, parsed.seed)
    print(markdown(figures))
    for path in write_report(figures, plan.folder):
        print(f"wrote {path}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument(
        "--arms",
        nargs="+",
        default=["model", "memory"],
        metavar="ARM",
        help=f"from {', '.join(ARMS)}; NAME+lora adds --adapter",
    )
    parser.add_argument("--holes", type=int, default=500, help="number of holes, over all repositories")
    parser.add_argument("--typed", type=int, default=150, help="number of holes that are typed key by key")
    parser.add_argument("--only", nargs="+", metavar="REPOSITORY", help="measure these repositories alone")
    parser.add_argument("--seed", type=int, default=1, help="decides the holes")
    parser.add_argument("--model", default="default", help="name or path of the model")
    parser.add_argument("--adapter", help="path of a GGUF adapter, for arms with +lora")
    parser.add_argument(
        "--server",
        help="command line of another version: 'env PYTHONPATH=DIR python -m fim_lsp --stdio'",
    )
    parser.add_argument("--label", default="", help="name of the arm in the results, for --server")
    parser.add_argument("--llama-server", type=Path, help="path of llama-server; built if it is missing")
    parser.add_argument(
        "--sources", type=Path, default=Path("build/bench/repositories"), help="folder of the repositories"
    )
    parser.add_argument("--output", type=Path, default=Path("build/bench"), help="folder of the results")
    return parser


def make_plan(parsed: argparse.Namespace) -> Plan:
    """Fetch the repositories, and cut the holes.

    Raises:
        FimLspError: an arm does not exist, or a repository can't be fetched.
    """
    arms = tuple(make_arm(name, parsed.model, parsed.adapter) for name in parsed.arms)
    releases = [release for release in RELEASES if not parsed.only or release.name in parsed.only]
    repositories = {release.name: fetch(release, parsed.sources) for release in releases}
    share = -(-parsed.holes // max(1, len(repositories)))
    cut = [cut_holes(name, read_sources(root), share, parsed.seed) for name, root in repositories.items()]
    holes = tuple(interleave(cut))[: parsed.holes]
    server = None
    if any(arm.name == LLAMA_VIM for arm in arms):
        from benchmarks.keystrokes.server import find_server

        server = find_server(parsed.llama_server)
    parsed.output.mkdir(parents=True, exist_ok=True)
    command = tuple(shlex.split(parsed.server or "")) or (sys.executable, "-m", "fim_lsp", "--stdio")
    return Plan(
        arms, repositories, holes, parsed.typed, parsed.model, parsed.output, command, parsed.label, server
    )


async def run(plan: Plan) -> None:
    """Fill the holes that have no result yet, arm by arm, repository by repository."""
    file = plan.folder / "quality.jsonl"
    typed = {hole.name for hole in plan.holes[: plan.typed]}
    for name, root in plan.repositories.items():
        for arm in plan.arms:
            label = plan.label or arm.name
            done = {result.hole for result in read_results(file) if result.arm == label}
            missing = [hole for hole in plan.holes if hole.repository == name and hole.name not in done]
            if not missing:
                continue
            async with _screen(plan, arm, root) as screen:
                for hole in missing:
                    append_result(file, await fill(screen, label, hole, typing=hole.name in typed))
            print(f"{label}: {name}, {len(missing)} holes", file=sys.stderr)


@asynccontextmanager
async def _screen(plan: Plan, arm: QualityArm, root: Path) -> AsyncIterator[Screen]:
    if arm.name != LLAMA_VIM:
        work = plan.folder / f"workspace-{plan.label or arm.name}" / root.name
        async with server_screen(plan.command, arm, root, work) as screen:
            yield screen
        return
    settings = BenchmarkPlan(
        models=(plan.model,),
        peers=("infill-spm",),
        predict=_LLAMA_VIM_PREDICT,
        binary=plan.llama_server,
        folder=plan.folder,
    )
    with subject(settings, plan.model) as prompted:
        async with open_peers(settings, prompted) as peers:
            yield LlamaVimScreen(peers["infill-spm"])


async def fill(screen: Screen, arm: str, hole: QualityHole, *, typing: bool) -> HoleResult:
    """Fill one hole, type its text if ``typing``, and return the result."""
    await screen.open(hole)
    try:
        first = await screen.look("")
        typed = None
        if typing and hole.middle:

            async def look(written: str) -> ShownText:
                return first.shown if not written else (await screen.look(written)).shown

            typed = await type_text(hole.middle, hole.suffix, look, _MOST_TYPED)
    finally:
        await screen.close()
    return make_result(arm, hole, first.shown, first.waited_ms, typed)


if __name__ == "__main__":
    sys.exit(main())
