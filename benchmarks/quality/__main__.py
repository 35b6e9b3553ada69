"""Measure the quality of suggestions in real repositories: ``python -m benchmarks.quality --help``."""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Container, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from attrs import evolve, field, frozen

from benchmarks.keystrokes.measurement import BenchmarkPlan, open_peers, subject
from benchmarks.keystrokes.peers import PeerName
from benchmarks.quality.arms import ARMS, LLAMA_VIM, ArmError, QualityArm, make_arm, share_a_server
from benchmarks.quality.holes import KINDS, QualityHole, cut_holes, interleave, read_sources
from benchmarks.quality.report import compute_figures, markdown, write_report
from benchmarks.quality.repositories import RELEASES, fetch
from benchmarks.quality.results import HoleResult, append_result, make_result, read_results
from benchmarks.quality.screens import LlamaVimScreen, SuggestionScreen, server_screen
from benchmarks.quality.typist import Pace, ShownText, type_text
from fim_lsp.errors import FimLspError
from fim_lsp.paths import USER_PATHS, variables_for

_LLAMA_VIM_PREDICT = 128
"""llama.vim's default for the most tokens of a suggestion."""
_INFILL: Mapping[str, PeerName] = {"psm": "infill", "spm": "infill-spm", "suffix_first": "infill-own"}
"""llama.vim with each order of a prompt; ``/infill`` does not know the last one."""
_TIMES_RARE = 12
"""Holes that are cut for each one of a kind that is asked for alone."""
_ROUND = 25
"""Holes of each repository in a round: an interrupted run has about as many of each."""
_MOST_TYPED = 60
"""Characters of a hole that the simulated typist writes."""


@frozen
class QualityPlan:
    """The arms, repositories and holes of one run."""

    arms: tuple[QualityArm, ...]
    repositories: Mapping[str, Path] = field(repr=False)
    holes: tuple[QualityHole, ...] = field(repr=False)
    typed: int
    """Number of holes that are typed, from the first one on."""
    model: str
    folder: Path
    command: tuple[str, ...] = field(repr=False)
    """The server's command line."""
    llama_server: Path | None = None
    code: str = ""
    """Commit of the code that is measured."""
    pace: Pace | None = None
    """Of the typing; None to wait for each answer before the next key."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark, and print the tables."""
    parsed = _parser().parse_args(arguments)
    try:
        plan = make_plan(parsed)
        # Measure without the user's own settings, and leave their statistics and saved indexes alone.
        os.environ.update(variables_for(plan.folder.resolve() / "user", USER_PATHS))
        if not parsed.report:
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
        "key every": f"{parsed.pace:g} ms" if parsed.pace else "answer",
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
        default=["model+short", "memory+short"],
        metavar="ARM",
        help=f"from {', '.join(ARMS)}; with +lora behind it with --adapter, with +short or +512 with "
        "prompts of 256 or 512 tokens",
    )
    parser.add_argument("--holes", type=int, default=620, help="number of holes, over all repositories")
    parser.add_argument("--typed", type=int, default=40, help="number of holes that are typed key by key")
    parser.add_argument(
        "--pace",
        type=_milliseconds,
        metavar="MS",
        help="type every hole, one key each so many milliseconds, whether or not an answer came; needs a "
        "machine that does nothing else",
    )
    parser.add_argument("--only", nargs="+", metavar="REPOSITORY", help="measure these repositories alone")
    parser.add_argument("--seed", type=int, default=1, help="decides the holes")
    parser.add_argument("--model", default="default", help="name or path of the model")
    parser.add_argument("--adapter", help="path of a GGUF adapter, for arms with +lora")
    parser.add_argument(
        "--code", type=Path, metavar="DIR", help="another version's source tree, for the arm 'before'"
    )
    parser.add_argument("--label", help="name of the only arm in the results")
    parser.add_argument(
        "--report", action="store_true", help="measure nothing: make the tables of the results that are there"
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="holes of these kinds alone")
    parser.add_argument("--llama-server", type=Path, help="path of llama-server; built if it is missing")
    parser.add_argument(
        "--sources", type=Path, default=Path("build/bench/repositories"), help="folder of the repositories"
    )
    parser.add_argument("--output", type=Path, default=Path("build/bench"), help="folder of the results")
    return parser


def _milliseconds(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a finite number above 0")
    return number


def make_plan(parsed: argparse.Namespace) -> QualityPlan:
    """Fetch the repositories, and cut the holes.

    Raises:
        FimLspError: an arm does not exist, or a repository can't be fetched.
    """
    arms = tuple(make_arm(name, parsed.model, parsed.adapter) for name in parsed.arms)
    if parsed.pace and any(arm.name == LLAMA_VIM for arm in arms):
        raise ArmError(f"The arm {LLAMA_VIM} has no pace.", "Leave out --pace, or the arm.")
    releases = [release for release in RELEASES if not parsed.only or release.name in parsed.only]
    repositories = {release.name: fetch(release, parsed.sources) for release in releases}
    kinds = parsed.kinds or KINDS
    share = -(-parsed.holes * (1 if parsed.kinds is None else _TIMES_RARE) // max(1, len(repositories)))
    cut = [cut_holes(name, read_sources(root), share, parsed.seed) for name, root in repositories.items()]
    wanted = [[hole for hole in own if hole.kind in kinds] for own in cut]
    holes = tuple(interleave(wanted))[: parsed.holes]
    server = None
    if any(arm.name == LLAMA_VIM for arm in arms):
        from benchmarks.keystrokes.server import find_server

        server = find_server(parsed.llama_server)
    if parsed.label and len(arms) == 1:
        arms = (evolve(arms[0], name=parsed.label),)
    parsed.output.mkdir(parents=True, exist_ok=True)
    tree = parsed.code or Path.cwd()
    command, code = server_command(tree), current_commit(tree)
    typed, pace = (len(holes), Pace(parsed.pace / 1000)) if parsed.pace else (parsed.typed, None)
    return QualityPlan(
        arms, repositories, holes, typed, parsed.model, parsed.output, command, server, code, pace
    )


async def run(plan: QualityPlan) -> None:
    """Fill the holes that have no result yet, a few of every repository in each round.

    Arms with the same memory share a process where nothing is typed: a prompt is evaluated for the first of
    them alone. The arms take turns at being the first.
    """
    done = {(result.arm, result.hole) for result in read_results(plan.folder / "quality.jsonl")}
    typed = {hole.name for hole in plan.holes[: plan.typed]}
    server_arms = tuple(arm for arm in plan.arms if arm.name != LLAMA_VIM)
    size = _ROUND * max(1, len(plan.repositories))
    for start in range(0, len(plan.holes), size):
        for name, root in plan.repositories.items():
            own = [hole for hole in plan.holes[start : start + size] if hole.repository == name]
            together = [hole for hole in own if hole.name not in typed]
            apart = [hole for hole in own if hole.name in typed]
            shared = [(arms, together) for arms in share_a_server(server_arms)]
            for arms, holes in [*shared, *(((arm,), apart) for arm in server_arms)]:
                if missing := _missing(arms, holes, done):
                    work = plan.folder / "workspace" / name
                    async with server_screen(plan.command, arms[0], root, work, plan.pace) as screen:
                        await _fill_all(plan, screen, missing, typed)
        others = tuple(arm for arm in plan.arms if arm.name == LLAMA_VIM)
        if missing := _missing(others, plan.holes[start : start + size], done):
            async with _llama_vim_screen(plan) as llama_vim:
                await _fill_all(plan, llama_vim, missing, typed)


Missing = Sequence[tuple[QualityHole, Sequence[QualityArm]]]


def _missing(
    arms: tuple[QualityArm, ...], holes: Sequence[QualityHole], done: Container[tuple[str, str]]
) -> Missing:
    """Return the holes with the arms that have not filled them, each hole beginning with another arm."""
    turns = [arms[index % len(arms) :] + arms[: index % len(arms)] for index in range(len(holes)) if arms]
    left = [
        (hole, [arm for arm in turn if (arm.name, hole.name) not in done])
        for hole, turn in zip(holes, turns, strict=False)
    ]
    return [(hole, missing) for hole, missing in left if missing]


async def _fill_all(
    plan: QualityPlan, screen: SuggestionScreen, missing: Missing, typed: Container[str]
) -> None:
    for hole, arms in missing:
        for number, arm in enumerate(arms):
            result = await fill(
                screen, arm, hole, typing=hole.name in typed, cold=number == 0, code=plan.code
            )
            append_result(plan.folder / "quality.jsonl", result)
    print(f"{missing[0][0].repository}: {len(missing)} holes", file=sys.stderr)


@asynccontextmanager
async def _llama_vim_screen(plan: QualityPlan) -> AsyncIterator[SuggestionScreen]:
    settings = BenchmarkPlan(
        models=(plan.model,),
        predict=_LLAMA_VIM_PREDICT,
        binary=plan.llama_server,
        folder=plan.folder,
    )
    with subject(settings, plan.model) as prompted:
        name = _INFILL[prompted.template.order if prompted.template is not None else "psm"]
        async with open_peers(evolve(settings, peers=(name,)), prompted) as peers:
            yield LlamaVimScreen(peers[name])


async def fill(
    screen: SuggestionScreen,
    arm: QualityArm,
    hole: QualityHole,
    *,
    typing: bool,
    cold: bool = True,
    code: str = "",
) -> HoleResult:
    """Fill one hole, type its text if ``typing``, and return the result."""
    await screen.open(hole, arm)
    try:
        first = await screen.look("")
        typed = None
        if typing and hole.middle:

            async def look(written: str) -> ShownText:
                return first.shown if not written else (await screen.look(written)).shown

            typed = await type_text(hole.middle, hole.suffix, look, _MOST_TYPED)
    finally:
        await screen.close()
    return make_result(arm.name, hole, first.shown, first.waited_ms, typed, cold=cold, code=code)


def server_command(tree: Path) -> tuple[str, ...]:
    """Return the command line of the server in a source tree, which wins over the current folder's.

    Raises:
        ArmError: there is no server in it.
    """
    if not (tree / "fim_lsp" / "cli.py").is_file():
        raise ArmError(f"There is no server in {tree}.", "Give the root of a source tree with --code.")
    start = "import sys; sys.path.insert(0, sys.argv.pop(1)); from fim_lsp.cli import main; sys.exit(main())"
    return (sys.executable, "-c", start, str(tree.resolve()), "--stdio")


def current_commit(tree: Path) -> str:
    """Return the commit of a source tree, with ``+`` if files differ; empty if unknown."""
    try:
        name, changed = (
            subprocess.run(command, cwd=tree, capture_output=True, text=True, check=True).stdout.strip()
            for command in (["git", "rev-parse", "--short", "HEAD"], ["git", "status", "--short", "fim_lsp"])
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{name}+" if changed else name


if __name__ == "__main__":
    sys.exit(main())
