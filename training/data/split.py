"""Split files into those to train on and those held out, by whole repositories or folders, or by age.

A held-out file that resembles a training file could be completed from memory, so it is dropped.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Literal

from attrs import field, frozen

from training.data.screening import SourceFile

SplitUnit = Literal["repository", "directory", "time"]

_MIN_UNITS = 8
_LARGEST_UNIT = 3.0
"""A unit larger than this times the part to hold out stays on the training side."""


@frozen
class Split:
    """The training files and the held-out files."""

    train: tuple[SourceFile, ...] = field(repr=False)
    held_out: tuple[SourceFile, ...] = field(repr=False)
    by: SplitUnit
    units: tuple[str, ...]
    """Names of the repositories or folders held out, or of the files if there are too few folders."""
    too_similar: int
    """Number of held-out files dropped because they resemble a training file."""


def split(
    files: Sequence[SourceFile],
    clusters: Sequence[int],
    share: float,
    seed: int,
    by: Literal["auto", "repository", "directory", "time"] = "auto",
    ages: Mapping[str, float] | None = None,
) -> Split:
    """Hold out about ``share`` of the characters of each language.

    Args:
        files: the files left after deduplication.
        clusters: number of each file's cluster.
        share: 0 to 0.5.
        seed: decides which units are held out.
        by: unit that is never divided; ``auto`` takes repositories if there are more than two, else folders.
        ages: for ``time``, the time of each file's first commit in seconds, by the file's key; the newest are
            held out.
    """
    chosen: SplitUnit = (
        by if by != "auto" else "repository" if len({f.source for f in files}) > 2 else "directory"
    )
    unit_of = _units(files, chosen)
    order = _by_age(ages) if chosen == "time" and ages else _by_hash(seed)
    units = _held_out_units(files, unit_of, share, order) if share > 0 else set()
    train_clusters = {
        cluster for file, cluster in zip(files, clusters, strict=True) if unit_of[file.key] not in units
    }
    train = tuple(file for file in files if unit_of[file.key] not in units)
    apart = [
        (file, cluster not in train_clusters)
        for file, cluster in zip(files, clusters, strict=True)
        if unit_of[file.key] in units
    ]
    held_out = tuple(file for file, is_apart in apart if is_apart)
    return Split(train, held_out, chosen, tuple(sorted(units)), len(apart) - len(held_out))


def _units(files: Sequence[SourceFile], by: SplitUnit) -> dict[str, str]:
    """Return the unit of each file, by the file's key."""
    if by == "repository":
        return {file.key: file.source for file in files}
    if by == "directory":
        for depth in range(1, 8):
            units = {file.key: _folder(file, depth) for file in files}
            if len(set(units.values())) >= _MIN_UNITS:
                return units
    return {file.key: file.key for file in files}


def _folder(file: SourceFile, depth: int) -> str:
    parents = PurePosixPath(file.path).parent.parts[:depth]
    return "/".join((file.source, *parents))


def _by_hash(seed: int) -> Callable[[str], str]:
    return lambda unit: sha256(f"{seed}/{unit}".encode()).hexdigest()


def _by_age(ages: Mapping[str, float]) -> Callable[[str], tuple[float, str]]:
    return lambda unit: (-ages.get(unit, 0.0), unit)


def _held_out_units(
    files: Sequence[SourceFile],
    unit_of: Mapping[str, str],
    share: float,
    order: Callable[[str], object],
) -> set[str]:
    """Choose units to hold out, in the given order, until the share is reached for each main language."""
    sizes: dict[str, Counter[str]] = defaultdict(Counter)
    for file in files:
        sizes[unit_of[file.key]][file.language] += len(file.text)
    by_language: dict[str, list[str]] = defaultdict(list)
    for unit, languages in sizes.items():
        by_language[languages.most_common(1)[0][0]].append(unit)
    chosen: set[str] = set()
    for units in by_language.values():
        chosen |= _until(units, {unit: sizes[unit].total() for unit in units}, share, order)
    everything = len(sizes) < 2
    return set() if everything else chosen


def _until(
    units: list[str], sizes: Mapping[str, int], share: float, order: Callable[[str], object]
) -> set[str]:
    """Take units until ``share`` of all sizes is reached; none if there is only one."""
    target = sum(sizes.values()) * share
    taken: set[str] = set()
    if len(units) < 2:
        return taken
    fitting = [unit for unit in units if sizes[unit] <= target * _LARGEST_UNIT]
    for unit in sorted(fitting or [min(units, key=lambda unit: (sizes[unit], unit))], key=order):  # type: ignore[arg-type]
        if sum(sizes[other] for other in taken) >= target:
            break
        taken.add(unit)
    return taken
