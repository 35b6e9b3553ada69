"""Sources in, two clean sides out: walk, filter, deduplicate, split; every file left out is counted.

The steps stand in :func:`build_corpus` from top to bottom. Reading and judging single files is spread over
processes; everything that compares files happens in one place, in a fixed order.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random

from attrs import field, frozen

from training.children import end_with_parent
from training.config import DataSettings
from training.data import DataError
from training.data.contamination import evaluation_grams
from training.data.duplicates import deduplicate
from training.data.history import first_commits
from training.data.screening import CandidateFile, ScreenedFile, ScreeningRules, SourceFile, screen
from training.data.sources import Source, candidates
from training.data.split import SplitUnit, split

OnProgress = Callable[[str, int, int], None]
"""Told a step's name, how much of it is done, and how much there is."""

_ALONE = 400
"""Fewer files than this are read faster without starting processes."""


@frozen
class Corpus:
    """What may be trained on, and what became of the rest."""

    train: tuple[SourceFile, ...] = field(repr=False)
    held_out: tuple[SourceFile, ...] = field(repr=False)
    sources: tuple[Source, ...] = field(repr=False)
    seen: int
    """Files looked at, whatever they were."""
    dropped: Counter[str]
    """How many files were left out, by reason."""
    by: SplitUnit
    held_out_units: tuple[str, ...]


def build_corpus(
    sources: Sequence[Source],
    settings: DataSettings,
    evaluation: tuple[Path, ...] = (),
    on_progress: OnProgress = lambda step, done, total: None,
) -> Corpus:
    """Filter, deduplicate and split.

    Raises:
        DataError: nothing is left to train on; the counts by reason say why.
    """
    rules = ScreeningRules(settings.max_file_bytes, settings.max_line_chars, evaluation_grams(evaluation))
    dropped: Counter[str] = Counter()
    wanted: list[CandidateFile] = []
    for source in sources:
        kept, left_out = candidates(source)
        sample = _sample(kept, settings.max_source_files, settings.seed)
        wanted += sample
        dropped += left_out + Counter({"beyond the sample": len(kept) - len(sample)})
    screened = _screened(wanted, rules, on_progress)
    dropped.update(item.reason for item in screened if item.reason)
    unique = deduplicate(
        screened,
        settings.near_duplicate,
        settings.same_side,
        lambda done: on_progress("compare", done + 1, len(screened)),
    )
    dropped.update({"exact copy": unique.exact, "near copy": unique.near})
    ages = _ages(sources) if settings.split == "time" else None
    sides = split(unique.files, unique.clusters, settings.held_out_share, settings.seed, settings.split, ages)
    dropped["held out, but like a training file"] += sides.too_similar
    dropped = Counter({reason: count for reason, count in sorted(dropped.items()) if count})
    seen = sum(len(source.files) for source in sources)
    if not sides.train:
        raise _nothing_left(seen, dropped)
    return Corpus(sides.train, sides.held_out, tuple(sources), seen, dropped, sides.by, sides.units)


def _sample(found: list[CandidateFile], most: int | None, seed: int) -> list[CandidateFile]:
    """A source's files, or the same sample of them every time."""
    if most is None or len(found) <= most:
        return found
    chosen = Random(f"{seed}/{found[0].source}").sample(range(len(found)), most)
    return [found[index] for index in sorted(chosen)]


def _screened(
    wanted: list[CandidateFile], rules: ScreeningRules, on_progress: OnProgress
) -> list[ScreenedFile]:
    results = []
    for result in _results(wanted, rules):
        results.append(result)
        on_progress("read", len(results), len(wanted))
    return results


def _results(wanted: list[CandidateFile], rules: ScreeningRules) -> Iterator[ScreenedFile]:
    work = partial(screen, rules=rules)
    if len(wanted) < _ALONE:
        yield from map(work, wanted)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    # Spawned, not forked: llama.cpp's threads would not survive a fork.
    context = multiprocessing.get_context("spawn")
    workers = min(8, os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_parent) as pool:
        yield from pool.map(work, wanted, chunksize=32)


def _ages(sources: Sequence[Source]) -> dict[str, float]:
    return {
        f"{source.name}/{path}": when
        for source in sources
        for path, when in first_commits(source.root).items()
    }


def _nothing_left(seen: int, dropped: Counter[str]) -> DataError:
    if not seen:
        return DataError("There are no files in what was given.", "Check the paths given with --repo.")
    reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.most_common())
    remedy = "Give a folder with source code."
    if dropped["no licence found"] or dropped["licence"]:
        remedy = "If the code is your own, say so with --own."
    return DataError(f"None of {seen} files can be trained on: {reasons}.", remedy)
