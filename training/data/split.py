"""Train or held out: decided for whole repositories, folders or ages, never for a file among its likes.

A file that resembles one on the other side would let a model shine by memory, so it is dropped from the
held-out side after clustering.
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
"""A unit of more than this times what is to be held out stays on the training side."""


@frozen
class Split:
    """The two sides."""

    train: tuple[SourceFile, ...] = field(repr=False)
    held_out: tuple[SourceFile, ...] = field(repr=False)
    by: SplitUnit
    units: tuple[str, ...]
    """What is held out: names of repositories or folders, or of files where there are no folders."""
    too_similar: int
    """Files dropped because they resemble one on the training side."""


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
        files: what is left after deduplication.
        clusters: for each file the number of its cluster.
        share: 0 to 0.5.
        seed: which units are held out.
        by: what stays together; ``auto`` takes repositories if there are several, else folders.
        ages: for ``time``, when each file (by its key) was first committed, in seconds; the newest are
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
    """The unit of each file, by the file's key."""
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
    """Units in their order, within each main language, until the share is reached."""
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
    """Take units until ``share`` of their size is reached; none where one is all there is."""
    wanted = sum(sizes.values()) * share
    taken: set[str] = set()
    if len(units) < 2:
        return taken
    fitting = [unit for unit in units if sizes[unit] <= wanted * _LARGEST_UNIT]
    for unit in sorted(fitting or [min(units, key=lambda unit: (sizes[unit], unit))], key=order):  # type: ignore[arg-type]
        if sum(sizes[one] for one in taken) >= wanted:
            break
        taken.add(unit)
    return taken
