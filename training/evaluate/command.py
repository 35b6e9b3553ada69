"""``python -m training evaluate``: let arms fill holes, and write a report.

Answers, results of tests and likelihoods are stored in the output folder one by one, so that a second run
does only what is missing.
"""

from __future__ import annotations

import argparse
import platform
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from training.evaluate import EvaluationError

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console

    from training.evaluate.arms import Arm
    from training.evaluate.infilling import EvaluationHole
    from training.evaluate.scores import ArmResults
    from training.evaluate.weights import Models

_REPOSITORY_HOLES = 200
_PLAIN_TEXTS = 24


@frozen
class EvaluateOptions:
    """Options of an evaluation."""

    output: Path
    max_tokens: int = 256
    """Longest answer, in tokens."""
    overrun: int = 48
    """Tokens that a model may generate after the server's stop rules ended the answer."""
    nll: bool = False
    """Score true middles, and whole documents."""
    plain_texts: int = _PLAIN_TEXTS
    """Highest number of whole documents that are scored."""
    run_tests: bool = False
    older_answers: bool = False
    cut: str = "benchmark"
    """The cut of the holes (:data:`training.evaluate.infilling.Cut`), for the report."""
    seed: int = 0
    """Seed of the intervals."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's flags."""
    parser.add_argument(
        "--arm",
        action="append",
        default=[],
        metavar="NAME=MODEL[,key=value…]",
        help="a model to evaluate, the base first; may be given several times. MODEL is a GGUF file, a "
        "name of the catalog, or a folder of safetensors (only scored). template=none uses the prefix "
        "alone; other keys: layout, text=shown|stopped|written, post=on|off, first_line=on|off, "
        "trigger=invoked|automatic, and settings by path",
    )
    parser.add_argument(
        "--holes",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="tasks in the format of HumanEval-Infilling (JSON lines, .gz or not)",
    )
    parser.add_argument(
        "--repo", type=Path, action="append", default=[], metavar="DIR", help="source code to cut holes into"
    )
    parser.add_argument(
        "--held-out-of",
        type=Path,
        metavar="DATASET",
        help="cut only files that this data set, prepared from all --repo, held out",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="holes of each file or repository, drawn")
    parser.add_argument(
        "--lines", type=int, metavar="N", help="of these, only holes in which 1 to N lines are missing"
    )
    parser.add_argument(
        "--cut",
        choices=("benchmark", "indentation"),
        default="benchmark",
        help="indentation: the middle's first indentation is typed already, as on a line the editor indented",
    )
    parser.add_argument("--pass", action="store_true", dest="run_tests", help="run the tasks' tests (pass@1)")
    parser.add_argument("--nll", action="store_true", help="score true middles, and whole documents")
    parser.add_argument("--max-tokens", type=int, default=256, metavar="N", help="longest answer")
    parser.add_argument(
        "--overrun", type=int, default=48, metavar="N", help="tokens generated after the server's stop rules"
    )
    parser.add_argument(
        "--older-answers", action="store_true", help="use answers from before a change of fim-lsp's code"
    )
    parser.add_argument("--seed", type=int, default=0, help="decides holes and intervals")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="results and report")


def run(parsed: argparse.Namespace) -> int:
    """Evaluate, and print the tables of the arms."""
    from rich.console import Console

    from training.evaluate.tables import main_tables, rich_table

    console = Console(stderr=True)
    report = evaluate(parsed, console)
    for table in main_tables(report):
        console.print(rich_table(table))
    console.print(f"The report is in {parsed.output}: report.html, report.md, report.json.", highlight=False)
    return 0


def evaluate(parsed: argparse.Namespace, console: Console, models: Models | None = None) -> dict[str, Any]:
    """Evaluate as the flags ask for, write the report and return it.

    Args:
        parsed: the flags.
        console: shows the progress.
        models: source of the arms' weights; the model store by default.

    Raises:
        FimLspError: flags that contradict each other, holes or models that can't be used.
    """
    return compare_arms(_arms(parsed.arm), _holes(parsed), _options(parsed), console, models)


def compare_arms(
    arms: Sequence[Arm],
    holes: tuple[EvaluationHole, ...],
    options: EvaluateOptions,
    console: Console,
    models: Models | None = None,
) -> dict[str, Any]:
    """Let every arm fill every hole, write the report and return it.

    Args:
        arms: the arms, the base first.
        holes: the holes to fill.
        options: of the evaluation.
        console: shows the progress.
        models: source of the arms' weights; the model store by default.

    Raises:
        FimLspError: models that can't be used, results that can't be written.
    """
    from training.evaluate.report import make_report, write_report
    from training.evaluate.weights import StoredModels

    source = models or StoredModels()
    with _ArmProgress(console) as progress:
        results = _results(options, arms, holes, source, progress)
    report = make_report(results, _run_facts(options, arms, holes, source), options.seed)
    write_report(options.output, report)
    return report


def _options(parsed: argparse.Namespace) -> EvaluateOptions:
    return EvaluateOptions(
        output=parsed.output,
        max_tokens=parsed.max_tokens,
        overrun=parsed.overrun,
        nll=parsed.nll,
        run_tests=parsed.run_tests,
        older_answers=parsed.older_answers,
        cut=parsed.cut,
        seed=parsed.seed,
    )


def _arms(texts: Sequence[str]) -> tuple[Arm, ...]:
    from training.evaluate.arms import parse_arm

    arms = tuple(map(parse_arm, texts))
    if not arms:
        raise EvaluationError("There is nothing to evaluate.", "Name a model with --arm tuned=model.gguf.")
    twice = [name for name, count in Counter(arm.name for arm in arms).items() if count > 1]
    if twice:
        raise EvaluationError(f"Two arms are called {', '.join(twice)}.", "Give each its own name.")
    return arms


def _holes(parsed: argparse.Namespace) -> tuple[EvaluationHole, ...]:
    from training.evaluate.cuts import cut_held_out, cut_repository
    from training.evaluate.infilling import load_tasks, recut, sample

    found: list[EvaluationHole] = []
    for file in parsed.holes:
        found += sample(load_tasks(file), parsed.limit, parsed.seed)
    count = parsed.limit or _REPOSITORY_HOLES
    if parsed.held_out_of:
        roots, evaluation = tuple(parsed.repo), tuple(parsed.holes)
        found += cut_held_out(roots, parsed.held_out_of, count, parsed.seed, evaluation)
    else:
        for root in parsed.repo:
            found += cut_repository(root, count, parsed.seed)
    most = parsed.lines
    chosen = found if most is None else [hole for hole in found if 1 <= hole.lines <= most]
    if not chosen:
        remedy = "Give tasks with --holes or code with --repo." if not found else "Give a larger --lines."
        raise EvaluationError("There are no holes to fill.", remedy)
    return tuple(recut(hole, parsed.cut) for hole in chosen)


def _results(
    options: EvaluateOptions,
    arms: Sequence[Arm],
    holes: tuple[EvaluationHole, ...],
    models: Models,
    progress: _ArmProgress,
) -> list[ArmResults]:
    from attrs import evolve

    from training.evaluate.fill import FillOptions, fill, score_texts
    from training.evaluate.records import ResultJournal
    from training.evaluate.scores import ArmResults

    fill_options = FillOptions(options.max_tokens, options.overrun, options.nll, options.older_answers)
    texts = _plain_texts(holes, options.plain_texts) if options.nll and options.plain_texts else ()
    results = []
    output = options.output
    with ResultJournal(output / "answers.jsonl") as answers, ResultJournal(output / "plain.jsonl") as plain:
        for arm in arms:
            done = progress.begin(arm.name, len(holes))
            records = fill(arm, holes, fill_options, answers, models, done)
            scored = score_texts(arm, texts, plain, models) if texts else ()
            results.append(ArmResults(arm, holes, records, {}, scored))
    if not options.run_tests:
        return results
    passes = _run_tests(output, results, progress)
    return [evolve(result, passes=passes) for result in results]


def _run_tests(output: Path, results: Sequence[ArmResults], progress: _ArmProgress) -> dict[str, bool]:
    from training.evaluate.records import ResultJournal
    from training.evaluate.sandbox import run_programs

    programs = tuple(dict.fromkeys(program for result in results for program in result.programs()))
    with ResultJournal(output / "tests.jsonl") as journal:
        return run_programs(programs, journal, on_done=progress.begin("tests", len(programs)))


def _plain_texts(holes: Sequence[EvaluationHole], most: int) -> tuple[str, ...]:
    """Return at most ``most`` different documents of the holes, evenly spread over them."""
    texts = tuple(dict.fromkeys(hole.text for hole in holes if hole.text.strip()))
    step = max(1, len(texts) // most)
    return texts[::step][:most]


def _run_facts(
    options: EvaluateOptions, arms: Sequence[Arm], holes: Sequence[EvaluationHole], models: Models
) -> dict[str, Any]:
    """Describe the evaluation for the report, without times and paths, so that the report can be shared."""
    from fim_lsp import __version__

    return {
        "seed": options.seed,
        "cut": options.cut,
        "max_tokens": options.max_tokens,
        "overrun": options.overrun,
        "sets": dict(Counter(hole.set for hole in holes)),
        "arms": {
            arm.name: {
                "model": Path(arm.model).name,
                "sha256": models.digest(arm),
                "prefix_only": arm.prefix_only,
                "first_line": arm.first_line,
                "trigger": arm.trigger.value,
                "settings": dict(arm.overrides),
            }
            for arm in arms
        },
        "versions": {"fim-lsp": __version__, "python": platform.python_version()},
    }


class _ArmProgress:
    """A line of progress for each arm, and one for the tests."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=console)

    def begin(self, name: str, total: int) -> Callable[[], None]:
        """Show a new line; return a function that advances it by one."""
        task = self._progress.add_task(name, total=total)
        return lambda: self._progress.advance(task)

    def __enter__(self) -> _ArmProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
