"""``python -m training run``: from a developer's own code to a GGUF that their editor uses.

::

    python -m training run --repo PATH [--repo …] --base NAME|PATH --minutes N --output DIR [--use]

    DIR/data/      rows to train on, and held-out holes as the code stood when the run began
    DIR/train/     the adapter, its checkpoints, its losses
    DIR/model/     the tuned model as GGUF, as LoRA-GGUF where it can be one, and a Modelfile
    DIR/report/    base against tuned on the held-out holes: report.html, .md, .json
    DIR/run.json   options, versions, plan, and what each stage came to

:func:`run_stages` is the whole of it, from top to bottom. The base fills its first holes before anything is
trained: what a hole costs here decides how many will judge the model, and a base that can't be served is
found out before the work is done. Run again with the same options, it goes on where it ended.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from training.config import make_recipe
from training.pipeline.plan import Plan, make_plan
from training.pipeline.stages import (
    RunError,
    RunOptions,
    check_room,
    export_model,
    judge_model,
    model_path,
    prepare_data,
    train_adapter,
    try_base,
)
from training.pipeline.verdict import Verdict

if TYPE_CHECKING:
    from rich.console import Console

    from training.bases import Base
    from training.record import RunRecord

RECORD = "run.json"


@frozen
class Finished:
    """What a run came to."""

    model: Path
    report: Path
    verdict: Verdict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's flags."""
    parser.add_argument(
        "--repo",
        type=Path,
        action="append",
        required=True,
        metavar="PATH",
        help="your own code, for which no licence is asked; may be given several times",
    )
    parser.add_argument("--base", required=True, metavar="NAME|PATH", help="a name of the catalog, or a GGUF")
    parser.add_argument("--minutes", type=float, default=20.0, metavar="N", help="for all of it, about (20)")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="a rerun goes on here")
    parser.add_argument("--use", action="store_true", help="then choose the model for every editor")
    parser.add_argument("--recipe", type=Path, metavar="FILE.toml", help="settings other than the defaults")
    parser.add_argument("--seed", type=int, help="decides the split and every draw")
    parser.add_argument("--processes", type=int, metavar="N", help="most processes on the CPU's cores")
    parser.add_argument("--pass-tokens", type=int, default=1024, metavar="N", help="less takes less memory")
    parser.add_argument("--cpu", action="store_true", help="leave the GPU alone")


def run(parsed: argparse.Namespace) -> int:
    """Do what is missing, say what came out, and choose the model where that was asked for."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            finished = run_stages(_options(parsed), console)
    except KeyboardInterrupt:
        console.print("Interrupted. The same command goes on from the last checkpoint.")
        raise
    console.print(finished.verdict.text, style="bold")
    console.print(f"Report: {finished.report}")
    if parsed.use:
        use(finished, console)
    else:
        console.print(f"Use it: fim-lsp model use {finished.model}")
    return 0


def run_stages(options: RunOptions, console: Console) -> Finished:
    """Take every stage that is not done yet: prepare, try the base, train, export, judge.

    Args:
        options: of the run; those that decide what comes out must stay the same when it is run again.
        console: where it says what it does.

    Raises:
        FimLspError: of whatever does not fit, before work is lost; what was done stays done.
        KeyboardInterrupt: training was interrupted.
    """
    from fim_lsp.models.gguf_header import check_model
    from training.bases import open_base
    from training.record import alone_in, open_record, take

    check_model(options.base)
    base = open_base(options.base)
    with alone_in(options.output):
        record = open_record(options.output / RECORD, _decisive(options, base))
        if not record.stages:
            check_room(options)
        record = take(record, "prepare", lambda: prepare_data(options, base, console), console.print)
        record = take(record, "try the base", lambda: try_base(options, console), console.print)
        plan = _planned(record, options)
        record = record.planned(attrs.asdict(plan))
        console.print(f"Plan: {plan}; {record.seconds / 60:.1f} of {plan.minutes:g} minutes are over.")
        record = take(record, "train", lambda: train_adapter(options, plan), console.print)
        record = take(record, "export", lambda: export_model(options, console), console.print)
        record = take(record, "judge", lambda: judge_model(options, plan, console), console.print)
    report = options.output / "report" / "report.html"
    return Finished(model_path(options), report, Verdict(**record.result("judge")["verdict"]))


def use(finished: Finished, console: Console) -> None:
    """Choose the model in the user's settings, so that running servers load it.

    Raises:
        RunError: it is worse than its base.
    """
    from fim_lsp.models.gguf_header import check_model
    from fim_lsp.paths import settings_file
    from fim_lsp.user_settings import choose_model

    if finished.verdict.outcome == "worse":
        raise RunError(
            "The tuned model is not chosen, because it is worse than its base.",
            f"If you want it all the same: fim-lsp model use {finished.model}",
        )
    check_model(finished.model)
    choose_model(settings_file(), str(finished.model.absolute()))
    console.print(f"{finished.model} is chosen in {settings_file()}; running servers load it.")


# --- What they stand on


def _options(parsed: argparse.Namespace) -> RunOptions:
    from training.bases import resolve_base

    if parsed.minutes <= 0:
        raise RunError(f"A run can't take {parsed.minutes:g} minutes.", "Give --minutes above 0.")
    flags = {"stage": "b", "data": {"seed": parsed.seed}, "train": {"seed": parsed.seed}}
    base = resolve_base(parsed.base)
    if not base.is_file():
        raise RunError(
            f"{base} is no GGUF file.", "Give a GGUF, or a name from the list: fim-lsp model list."
        )
    return RunOptions(
        repositories=tuple(parsed.repo),
        base=base,
        minutes=parsed.minutes,
        output=parsed.output,
        recipe=make_recipe(file=parsed.recipe, flags=flags),
        processes=parsed.processes,
        pass_tokens=parsed.pass_tokens,
        cpu=parsed.cpu,
    )


def _decisive(options: RunOptions, base: Base) -> dict[str, Any]:
    """What decides the outcome, and so must be the same to go on."""
    repositories = ", ".join(str(path.resolve()) for path in options.repositories)
    named = f"{options.base.name} (sha256 {base.sha256[:12]})"
    return {"repositories": repositories, "base": named, "recipe": options.recipe.as_dict()}


def _planned(record: RunRecord, options: RunOptions) -> Plan:
    """The plan that was made, or a new one as long as training has not begun."""
    from training.record import StageError

    before = Plan(**record.plan) if record.plan else None
    if before and before.minutes == options.minutes:
        return before
    if before and (options.output / "train" / "checkpoints").exists():
        raise StageError(
            f"{options.output} holds a run with other options: minutes was {before.minutes:g} "
            f"and is {options.minutes:g}.",
            "Give the same options to go on with it, or name another --output.",
        )
    tried = record.result("try the base")
    return make_plan(
        options.minutes,
        record.seconds,
        float(tried["hole_seconds"]),
        int(tried["holes"]),
        int(record.result("prepare")["holes"]),
        options.base.stat().st_size,
    )
