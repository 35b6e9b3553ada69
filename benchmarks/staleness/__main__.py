"""``python -m benchmarks.staleness``: cut holes, answer them, and print the cost of kept prompts."""

from __future__ import annotations

import argparse
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from attrs import asdict

from benchmarks.staleness.cases import ARMS, Case, cases
from benchmarks.staleness.filling import PromptLimits, fill, settings
from benchmarks.staleness.report import figures, markdown, write_report
from fim_lsp.engine_factory import open_engine
from fim_lsp.errors import FimLspError
from fim_lsp.files import sha256_of
from fim_lsp.models.store import ModelStore
from fim_lsp.paths import models_folder
from training.bases import open_base
from training.evaluate.cuts import cut_repository
from training.evaluate.infilling import EvaluationHole
from training.evaluate.records import ResultJournal


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for."""
    chosen = _parser().parse_args(arguments)
    try:
        print(_run(chosen))
    except FimLspError as error:
        print(f"staleness: {error}", file=sys.stderr)
        return 1
    return 0


def _run(chosen: argparse.Namespace) -> str:
    path = ModelStore(models_folder()).resolve(chosen.model).path
    base = open_base(path)
    order = base.template.order
    drawn = [each for hole in _holes(chosen) if (each := cases(hole, order, chosen.seed, chosen.reach))][
        : chosen.holes
    ]
    limits = PromptLimits(chosen.prompt_tokens, chosen.prefix_share, chosen.reach)
    model = settings(chosen.model, limits, "auto", 1).model
    done = 0

    def show() -> None:
        nonlocal done
        done += 1
        if done % 30 == 0:
            print(f"{done} answers", file=sys.stderr, flush=True)

    flat: list[Case] = [case for each in drawn for case in each]
    with ResultJournal(chosen.output / "answers.jsonl") as journal:
        answers = fill(
            lambda: open_engine(model, lambda _: True),
            chosen.model,
            sha256_of(path),
            flat,
            journal,
            limits,
            show,
        )
    by_arm = {arm: [a for a, case in zip(answers, flat, strict=True) if case.arm == arm] for arm in ARMS}
    found = {
        "model": path.stem,
        "order": order,
        **asdict(limits),
        "seed": chosen.seed,
        **figures([each[0].hole for each in drawn], by_arm),
    }
    write_report(found, chosen.output, f"staleness-{path.stem}")
    return markdown(found)


def _holes(chosen: argparse.Namespace) -> tuple[EvaluationHole, ...]:
    # More than needed, because holes with too little text before them are dropped.
    return cut_repository(chosen.repo, 3 * chosen.holes, chosen.seed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.staleness",
        description="Compare answers behind kept prompts with answers behind new ones, with intervals.",
    )
    parser.add_argument("--model", default="default", metavar="NAME|PATH", help="default: default")
    parser.add_argument("--holes", type=int, default=300, help="default: 300")
    parser.add_argument(
        "--repo",
        type=Path,
        default=Path(sysconfig.get_path("stdlib")),
        help="code to cut holes into; must not be what the model was trained on",
    )
    parser.add_argument("--prompt-tokens", type=int, default=512, dest="prompt_tokens")
    parser.add_argument("--prefix-share", type=float, default=0.75, dest="prefix_share")
    parser.add_argument(
        "--reach", type=int, default=700, metavar="CHARS", help="longest distance, default 700"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("build/bench/staleness"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
