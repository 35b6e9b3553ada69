"""Drop copies of files, and cluster files that resemble each other.

A model learns copied text by heart, and a copy on the other side of the split would make the held-out figures
too good. MinHash-LSH finds similar files in linear time (Broder 1997); the numbers are those of
"Deduplicating training data makes language models better" (arXiv 2107.06499) and of StarCoder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen

from training.data.screening import PERMUTATIONS, ScreenedFile, SourceFile


@frozen
class Deduplicated:
    """The files that are no copies, and their clusters."""

    files: tuple[SourceFile, ...]
    clusters: tuple[int, ...]
    """Number of each file's cluster; the files of a cluster belong on the same side of the split."""
    exact: int
    """Number of exact copies dropped."""
    near: int
    """Number of near copies dropped."""


def deduplicate(
    screened: Sequence[ScreenedFile],
    near: float,
    same_side: float,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Deduplicated:
    """Drop copies, keeping the first of them, and cluster the rest.

    Args:
        screened: usable files with their MinHashes, in an order that does not change between runs.
        near: Jaccard similarity, 0 to 1, from which a file is a copy.
        same_side: Jaccard similarity from which two files share a cluster.
        on_progress: called with the number of files done.
    """
    from datasketch import MinHashLSH  # type: ignore[import-untyped]

    index = MinHashLSH(threshold=same_side, num_perm=PERMUTATIONS)
    files: list[SourceFile] = []
    likenesses: list[Any] = []
    parents: list[int] = []
    digests: set[str] = set()
    exact = copies = 0
    for done, item in enumerate(screened):
        on_progress(done)
        if item.file is None or item.likeness is None:
            continue
        if item.file.digest in digests:
            exact += 1
            continue
        digests.add(item.file.digest)
        alike = {
            other: float(item.likeness.jaccard(likenesses[other]))
            for other in sorted(index.query(item.likeness))
        }
        if any(jaccard >= near for jaccard in alike.values()):
            copies += 1
            continue
        number = len(files)
        index.insert(number, item.likeness)
        files.append(item.file)
        likenesses.append(item.likeness)
        parents.append(number)
        for other in (other for other, jaccard in alike.items() if jaccard >= same_side):
            parents[_root(parents, other)] = _root(parents, number)
    clusters = tuple(_root(parents, number) for number in range(len(files)))
    return Deduplicated(tuple(files), clusters, exact, copies)


def _root(parents: list[int], number: int) -> int:
    """Return the root of a file's cluster in the union-find forest ``parents``, halving the path to it."""
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = parents[number]
    return number
