"""Turn sources into the files to train on and the files held out; count every file that is left out.

:func:`build_corpus` shows the steps from top to bottom. Reading and screening single files is spread over
processes; files are compared with each other in one process and in a fixed order.
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
"""Called with a step's name, the number of items done, and the number of items."""

_FEW_FILES = 400
"""Fewer files than this are read faster in one process."""


@frozen
class Corpus:
    """The files to train on, the files held out, and the number of files left out."""

    train: tuple[SourceFile, ...] = field(repr=False)
    held_out: tuple[SourceFile, ...] = field(repr=False)
    sources: tuple[Source, ...] = field(repr=False)
    seen: int
    """Number of all files of the sources."""
    dropped: Counter[str]
    """Number of files left out, by reason."""
    by: SplitUnit
    held_out_units: tuple[str, ...]
    """See :attr:`training.data.split.Split.units`."""


def build_corpus(
    sources: Sequence[Source],
    settings: DataSettings,
    evaluation: tuple[Path, ...] = (),
    on_progress: OnProgress = lambda step, done, total: None,
) -> Corpus:
    """Filter, deduplicate and split the files of the sources.

    Args:
        sources: what to train on.
        settings: of the recipe.
        evaluation: files whose content must not be trained on.
        on_progress: called after each file.

    Raises:
        DataError: nothing is left to train on; the message counts the files by reason.
    """
    rules = ScreeningRules(settings.max_file_bytes, settings.max_line_chars, evaluation_grams(evaluation))
    dropped: Counter[str] = Counter()
    found: list[CandidateFile] = []
    for source in sources:
        kept, left_out = candidates(source)
        sample = _sample(kept, settings.max_source_files, settings.seed)
        found += sample
        dropped += left_out + Counter({"beyond the sample": len(kept) - len(sample)})
    screened = _screen_all(found, rules, on_progress)
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
    """Return the files of a source, or, if they are too many, a sample drawn by the seed."""
    if most is None or len(found) <= most:
        return found
    chosen = Random(f"{seed}/{found[0].source}").sample(range(len(found)), most)
    return [found[index] for index in sorted(chosen)]


def _screen_all(
    found: list[CandidateFile], rules: ScreeningRules, on_progress: OnProgress
) -> list[ScreenedFile]:
    results = []
    for result in _screen_each(found, rules):
        results.append(result)
        on_progress("read", len(results), len(found))
    return results


def _screen_each(found: list[CandidateFile], rules: ScreeningRules) -> Iterator[ScreenedFile]:
    work = partial(screen, rules=rules)
    if len(found) < _FEW_FILES:
        yield from map(work, found)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    # Spawned, not forked, because llama.cpp's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    workers = min(8, os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_parent) as pool:
        yield from pool.map(work, found, chunksize=32)


def _ages(sources: Sequence[Source]) -> dict[str, float]:
    """Return the time of each file's first commit, in seconds since 1970, by the file's key."""
    return {
        f"{source.name}/{path}": time
        for source in sources
        for path, time in first_commits(source.root).items()
    }


def _nothing_left(seen: int, dropped: Counter[str]) -> DataError:
    if not seen:
        return DataError("There are no files in what was given.", "Check the paths given with --repo.")
    reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.most_common())
    remedy = "Give a folder with source code."
    if dropped["no licence found"] or dropped["licence"]:
        remedy = "If the code is your own, say so with --own."
    return DataError(f"None of {seen} files can be trained on: {reasons}.", remedy)
