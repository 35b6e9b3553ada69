"""``python -m training run``: from a developer's own code to a GGUF that their editor uses.

::

    python -m training run --repo PATH [--repo …] --base NAME|PATH --minutes N --output DIR [--use]

    DIR/data/      rows to train on, and held-out holes in the code as it was when the run began
    DIR/train/     the adapter, its checkpoints, its losses
    DIR/model/     the tuned model as GGUF, as LoRA-GGUF if it can be one, and a Modelfile
    DIR/report/    base against tuned on the held-out holes: report.html, .md, .json
    DIR/run.json   options, versions, plan, and the result of each stage

:func:`run_stages` shows the whole run from top to bottom. The base fills its first holes before training. The
time that a hole takes decides on how many holes the models are evaluated, and a base that the server can't
load fails before training. Run again with the same options, the command continues where it ended.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from training.config import make_recipe
from training.pipeline.plan import RunPlan, make_plan
from training.pipeline.stages import (
    RunError,
    RunOptions,
    check_room,
    evaluate_models,
    export_model,
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
class RunResult:
    """The files and the verdict of a finished run."""

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
        help="your own code, whose licence is not checked; may be given several times",
    )
    parser.add_argument(
        "--base",
        required=True,
        metavar="NAME|PATH",
        help="the model to train: a name of the catalog, or a GGUF",
    )
    parser.add_argument(
        "--minutes", type=float, default=20.0, metavar="N", help="approximate time of the run (default: 20)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for everything; with the same folder and options a run continues",
    )
    parser.add_argument(
        "--use", action="store_true", help="let every editor use the model, unless it is worse than its base"
    )
    parser.add_argument("--recipe", type=Path, metavar="FILE.toml", help="settings that replace defaults")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of the split and of all random choices")
    parser.add_argument("--processes", type=int, metavar="N", help="most processes on the cores of the CPU")
    parser.add_argument(
        "--pass-tokens",
        type=int,
        default=1024,
        metavar="N",
        help="tokens computed at once (default: 1024); fewer need less memory",
    )
    parser.add_argument("--cpu", action="store_true", help="use no GPU")


def run(parsed: argparse.Namespace) -> int:
    """Run the stages that are not done, print the result, and choose the model if ``--use`` was given."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = run_stages(_read_options(parsed), console)
    except KeyboardInterrupt:
        console.print("Interrupted. The same command continues from the last checkpoint.")
        raise
    console.print(result.verdict.text, style="bold")
    console.print(f"Report: {result.report}")
    if parsed.use:
        use(result, console)
    else:
        console.print(f"Use it: fim-lsp model use {result.model}")
    return 0


def run_stages(options: RunOptions, console: Console) -> RunResult:
    """Run every stage that is not done: prepare, try the base, train, export, evaluate.

    Args:
        options: of the run; the same folder accepts only options that give the same model.
        console: prints what is being done.

    Raises:
        FimLspError: the options, the data, the base and this machine don't fit together. Finished stages are
            kept.
        KeyboardInterrupt: training was interrupted.
    """
    from fim_lsp.models.gguf_header import check_model
    from training.bases import open_base
    from training.record import lock_folder, open_record, run_stage

    check_model(options.base)
    base = open_base(options.base)
    show = console.print
    with lock_folder(options.output):
        record = open_record(options.output / RECORD, _deciding_options(options, base))
        if not record.stages:
            check_room(options)
        record = run_stage(record, "prepare", lambda: prepare_data(options, base, console), show)
        record = run_stage(record, "try the base", lambda: try_base(options, console), show)
        plan = _plan(record, options)
        record = record.with_plan(attrs.asdict(plan))
        show(f"Plan: {plan}; {record.seconds / 60:.1f} of {plan.minutes:g} minutes are over.")
        record = run_stage(record, "train", lambda: train_adapter(options, plan), show)
        record = run_stage(record, "export", lambda: export_model(options, console), show)
        record = run_stage(record, "evaluate", lambda: evaluate_models(options, plan, console), show)
    report = options.output / "report" / "report.html"
    return RunResult(model_path(options), report, Verdict(**record.result("evaluate")["verdict"]))


def use(result: RunResult, console: Console) -> None:
    """Choose the model in the user's settings, so that running servers load it.

    Raises:
        RunError: it is worse than its base.
    """
    from fim_lsp.models.gguf_header import check_model
    from fim_lsp.paths import settings_file
    from fim_lsp.user_settings import choose_model

    if result.verdict.outcome == "worse":
        raise RunError(
            "The tuned model is not chosen, because it is worse than its base.",
            f"To use it anyway: fim-lsp model use {result.model}",
        )
    check_model(result.model)
    choose_model(settings_file(), str(result.model.absolute()))
    console.print(f"{result.model} is chosen in {settings_file()}; running servers load it.")


def _read_options(parsed: argparse.Namespace) -> RunOptions:
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


def _deciding_options(options: RunOptions, base: Base) -> dict[str, Any]:
    """Return the options that decide the trained model; they must be the same to continue a run."""
    repositories = ", ".join(str(path.resolve()) for path in options.repositories)
    base_name = f"{options.base.name} (sha256 {base.sha256[:12]})"
    return {"repositories": repositories, "base": base_name, "recipe": options.recipe.as_dict()}


def _plan(record: RunRecord, options: RunOptions) -> RunPlan:
    """Return the plan that was recorded, or a new one if training has not begun."""
    from training.record import RecordError

    before = RunPlan(**record.plan) if record.plan else None
    if before and before.minutes == options.minutes:
        return before
    if before and (options.output / "train" / "checkpoints").exists():
        raise RecordError(
            f"{options.output} holds a run with other options: minutes was {before.minutes:g} "
            f"and is {options.minutes:g}.",
            "Give the same options to continue it, or name another --output.",
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
