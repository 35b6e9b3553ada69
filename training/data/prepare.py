"""``python -m training prepare``: make a data set of repositories, for a base.

:func:`prepare` shows the order of the work; :func:`run` reads the flags and prints a summary.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.config import Recipe, make_recipe
from training.data import DataError

if TYPE_CHECKING:
    from rich.console import Console

    from training.bases import Base
    from training.data.corpus import Corpus, OnProgress
    from training.data.dataset import DataSet
    from training.data.history import PastHole
    from training.data.sampling import DrawnRows
    from training.data.sources import Source

_MIN_ROWS, _MAX_ROWS = 64, 40_000
"""Bounds of the number of rows if the recipe gives no number."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's flags."""
    parser.add_argument(
        "--repo",
        type=Path,
        action="append",
        default=[],
        metavar="PATH",
        help="a repository, a folder, or what 'corpus' fetched; may be given several times",
    )
    parser.add_argument(
        "--installed", action="append", default=[], metavar="NAME", help="an installed distribution"
    )
    parser.add_argument("--own", action="store_true", help="the repositories are yours: ask for no licence")
    parser.add_argument(
        "--base", required=True, metavar="PATH|NAME", help="GGUF file, Hugging Face folder, or catalog name"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where to put the data set")
    parser.add_argument("--recipe", type=Path, metavar="FILE.toml", help="settings other than the defaults")
    parser.add_argument("--stage", choices=("a", "b"), help="a: teach the format; b: tune on a repository")
    parser.add_argument("--seed", type=int, help="decides the split and every draw")
    parser.add_argument("--rows", type=int, metavar="N", help="training rows")
    parser.add_argument("--template", metavar="NAME", help="FIM template; chosen from the base by default")
    parser.add_argument(
        "--decontaminate",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="evaluation tasks (JSON lines, .gz or not) that must not be trained on",
    )


def run(parsed: argparse.Namespace) -> int:
    """Prepare a data set and print a summary of it."""
    from rich.console import Console

    from training.bases import open_base, resolve_base
    from training.data.sources import open_sources

    flags = {"stage": parsed.stage, "data": {"seed": parsed.seed, "rows": parsed.rows}}
    recipe = make_recipe(file=parsed.recipe, flags=flags)
    if not (parsed.repo or parsed.installed):
        raise DataError("There is nothing to train on.", "Give a repository with --repo.")
    console = Console(stderr=True)
    base = open_base(resolve_base(parsed.base), parsed.template)
    sources = open_sources(tuple(parsed.repo), tuple(parsed.installed), own=parsed.own)
    with ProgressBars(console) as bars:
        dataset = prepare(sources, base, recipe, parsed.output, tuple(parsed.decontaminate), bars.show)
    _print_summary(dataset, console)
    return 0


def prepare(
    sources: Sequence[Source],
    base: Base,
    recipe: Recipe,
    output: Path,
    evaluation: tuple[Path, ...] = (),
    on_progress: OnProgress = lambda step, done, total: None,
    held_out_recipe: Recipe | None = None,
    corpus: Corpus | None = None,
) -> DataSet:
    """Filter, deduplicate, split, draw rows, and write them.

    Args:
        sources: what to train on.
        base: vocabulary and template of the rows.
        recipe: its data settings.
        output: the data set's folder.
        evaluation: files whose content must not be trained on.
        on_progress: called after each item of a step.
        held_out_recipe: for the held-out rows, if several recipes are compared by the same ones.
        corpus: result of :func:`~training.data.corpus.build_corpus`, if there is one already.

    Raises:
        DataError: nothing is left to train on, or the data set can't be written.
    """
    from training.data.corpus import build_corpus
    from training.data.dataset import load_dataset, write_dataset
    from training.data.manifest import make_manifest

    settings = recipe.data
    corpus = corpus or build_corpus(sources, settings, evaluation, on_progress)
    chars = sum(len(file.text) for file in corpus.train)
    count = settings.rows or max(_MIN_ROWS, min(_MAX_ROWS, chars // settings.chars_per_row))
    held_out, held_out_count = held_out_recipe or recipe, settings.held_out_rows
    drawn = {
        "train": _draw(corpus, "train", count, base, recipe, evaluation, on_progress),
        "held_out": _draw(corpus, "held_out", held_out_count, base, held_out, evaluation, on_progress),
    }
    if not drawn["train"].rows:
        reasons = ", ".join(f"{count} {reason}" for reason, count in drawn["train"].dropped.most_common())
        raise DataError(
            f"No row could be made of {len(corpus.train)} files: {reasons}.",
            "Lower data.min_tokens in the recipe, or give more code.",
        )
    manifest = make_manifest(corpus, base, recipe, evaluation, drawn)
    parts = {part: draw.rows for part, draw in drawn.items()}
    write_dataset(output, parts, base.vocabulary_size, manifest)
    return load_dataset(output)


def _draw(
    corpus: Corpus,
    part: str,
    count: int,
    base: Base,
    recipe: Recipe,
    evaluation: tuple[Path, ...],
    on_progress: OnProgress,
) -> DrawnRows:
    """Draw the rows of one part of the data set."""
    from training.data.row_snippets import SnippetSource
    from training.data.sampling import draw_rows

    files = corpus.train if part == "train" else corpus.held_out
    # Snippets for a held-out file may come from all others, as in an editor; for a training file, never from
    # held-out ones.
    others = corpus.train if part == "train" else (*corpus.train, *corpus.held_out)
    history = _history(corpus, recipe, evaluation) if part == "train" else {}
    step = "train rows" if part == "train" else "held-out rows"
    return draw_rows(
        files,
        count,
        base,
        recipe.data,
        part,
        SnippetSource(others),
        history,
        lambda done: on_progress(step, done, count),
    )


def _history(
    corpus: Corpus, recipe: Recipe, evaluation: tuple[Path, ...]
) -> Mapping[str, Sequence[PastHole]]:
    """Cut holes at the insertions of recent commits into training files; return them by source."""
    from training.data.contamination import evaluation_grams
    from training.data.history import insertions, past_holes
    from training.data.screening import ScreeningRules, text_problem
    from training.data.walk import is_git_repository

    settings = recipe.data
    if settings.history_share <= 0:
        return {}
    rules = ScreeningRules(settings.max_file_bytes, settings.max_line_chars, evaluation_grams(evaluation))
    found: dict[str, Sequence[PastHole]] = {}
    for source in corpus.sources:
        paths = frozenset(file.path for file in corpus.train if file.source == source.name)
        if not paths or not is_git_repository(source.root):
            continue
        inserted = list(insertions(source.root, settings.history_commits, paths))
        holes = past_holes(source.root, inserted, settings.max_middle_chars, settings.history_half_life_days)
        found[source.name] = [
            past_hole for past_hole in holes if not text_problem(past_hole.hole.text, rules)
        ]
    return found


class ProgressBars:
    """A progress bar for each step, shown when the step begins."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        self._progress = Progress(
            "{task.description:14}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
        )
        self._tasks: dict[str, Any] = {}

    def show(self, step: str, done: int, total: int) -> None:
        """Show the progress of a step."""
        if step not in self._tasks:
            self._tasks[step] = self._progress.add_task(step, total=total)
        self._progress.update(self._tasks[step], completed=done, total=total)

    def __enter__(self) -> ProgressBars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def _print_summary(dataset: DataSet, console: Console) -> None:
    from rich.table import Table

    manifest = dataset.manifest
    table = Table(title=f"Data set for {manifest['base']['name']} ({manifest['base']['template']})")
    for heading in ("", "train", "held out"):
        table.add_column(heading, justify="left" if not heading else "right")
    train, held_out = (manifest["rows"][part] for part in ("train", "held_out"))
    for key in ("rows", "tokens", "supervised_tokens", "anchored", "with_snippets"):
        table.add_row(key.replace("_", " "), f"{train[key]:,}", f"{held_out[key]:,}")
    for group in ("by_language", "by_kind", "by_start_kind", "by_end_kind"):
        table.add_section()
        for name in sorted({*train[group], *held_out[group]}):
            table.add_row(name, f"{train[group].get(name, 0):,}", f"{held_out[group].get(name, 0):,}")
    console.print(table)
    files = manifest["files"]
    console.print(f"{files['seen']:,} files seen, {files['train']:,} train, {files['held_out']:,} held out.")
    for reason, count in sorted(files["dropped"].items(), key=lambda item: -item[1]):
        console.print(f"  {count:>8,} left out: {reason}", highlight=False)
