"""Which rows make a step, and how they are laid out: a pure function of seed, step and number of processes.

Nothing is drawn along the way, so a resumed run needs only the step's number to go on with the same rows. A
step's rows are dealt to the processes by length, so that these finish together, and each process's rows to
passes of at most so many tokens. Rows are put end to end; there is no padding to be spared by sorting.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from training.data import DataError


class TrainingRow(Protocol):
    """What the loop needs to know of a row."""

    @property
    def tokens(self) -> NDArray[np.unsignedinteger]: ...  # noqa: D102

    @property
    def weights(self) -> NDArray[np.float16]: ...  # noqa: D102

    @property
    def middle_start(self) -> int: ...  # noqa: D102


@frozen
class PackedPass:
    """Rows end to end, as arrays of int64 and float32. ``places[i]`` predicts ``targets[i]``."""

    ids: NDArray[np.int64] = field(repr=False)
    positions: NDArray[np.int64] = field(repr=False)
    row_lengths: tuple[int, ...]
    places: NDArray[np.int64] = field(repr=False)
    targets: NDArray[np.int64] = field(repr=False)
    weights: NDArray[np.float32] = field(repr=False)


@frozen
class Step:
    """One optimiser step as one process sees it."""

    passes: tuple[tuple[int, ...], ...]
    """Row numbers of each pass of this process; never empty."""
    rows: tuple[int, ...] = field(repr=False)
    """Row numbers of the whole step, over all processes."""


@frozen
class Sampler:
    """Deals out rows for ever: each epoch every usable row once, in a new order."""

    usable: NDArray[np.int64] = field(repr=False)
    lengths: NDArray[np.int64] = field(repr=False)
    """Of all rows, usable or not."""
    batch_rows: int
    pass_tokens: int
    seed: int
    rank: int = 0
    processes: int = 1

    def step(self, number: int) -> Step:
        """The rows of step ``number`` (from 0) and this process's share of them."""
        rows = self._rows(number)
        by_length = sorted(rows, key=lambda row: (-self.lengths[row], row))
        shares: list[list[int]] = [[] for _ in range(self.processes)]
        loads = [0] * self.processes
        for row in by_length:
            lightest = loads.index(min(loads))
            shares[lightest].append(row)
            loads[lightest] += int(self.lengths[row])
        return Step(self._passes(shares[self.rank]), tuple(rows))

    def tokens(self, number: int) -> int:
        """The tokens of step ``number``, over all processes."""
        return int(self.lengths[self._rows(number)].sum())

    def _rows(self, number: int) -> list[int]:
        size = len(self.usable)
        wanted = range(number * self.batch_rows, (number + 1) * self.batch_rows)
        orders = {at // size: self._order(at // size) for at in (wanted[0], wanted[-1])}
        for epoch in range(wanted[0] // size, wanted[-1] // size + 1):
            orders.setdefault(epoch, self._order(epoch))
        return [int(self.usable[orders[at // size][at % size]]) for at in wanted]

    def _order(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng((self.seed, epoch)).permutation(len(self.usable))

    def _passes(self, rows: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        return split_passes(rows, self.lengths, self.pass_tokens)


def split_passes(
    rows: Sequence[int], lengths: NDArray[np.signedinteger], pass_tokens: int
) -> tuple[tuple[int, ...], ...]:
    """Fill passes with rows in the order given; a row that is longer than a pass gets one to itself."""
    passes: list[list[int]] = []
    room = 0
    for row in rows:
        length = int(lengths[row])
        if not passes or length > room:
            passes.append([])
            room = pass_tokens
        passes[-1].append(row)
        room -= length
    return tuple(tuple(one) for one in passes)


def make_sampler(
    lengths: NDArray[np.int64],
    supervised: NDArray[np.bool_],
    *,
    batch_rows: int,
    pass_tokens: int,
    max_tokens: int,
    seed: int,
    rank: int = 0,
    processes: int = 1,
) -> Sampler:
    """A sampler over the rows that have a loss and are not too long.

    Raises:
        DataError: there are none, or fewer rows to a step than processes.
    """
    usable = np.flatnonzero((lengths <= max_tokens) & (lengths > 1) & supervised)
    if not len(usable):
        raise DataError(
            f"None of {len(lengths)} rows can be trained on: all are longer than {max_tokens} tokens "
            "or have no loss.",
            "Raise --max-row-tokens, or make the data set anew.",
        )
    if batch_rows < processes:
        raise DataError(
            f"A step of {batch_rows} rows can't be shared by {processes} processes.", "Raise --batch-rows."
        )
    return Sampler(usable, lengths.astype(np.int64), batch_rows, pass_tokens, seed, rank, processes)


def label_weights(row: TrainingRow) -> NDArray[np.float32]:
    """The loss weights of a row's tokens as targets; nothing predicts the first one."""
    weights: NDArray[np.float32] = np.array(row.weights, dtype=np.float32)
    weights[0] = 0.0
    return weights


def pack(rows: Sequence[TrainingRow]) -> PackedPass:
    """Put rows end to end."""
    lengths = [len(row.tokens) for row in rows]
    ids = np.concatenate([row.tokens for row in rows]).astype(np.int64)
    weights = np.concatenate([label_weights(row) for row in rows])
    labels = np.flatnonzero(weights)
    return PackedPass(
        ids=ids,
        positions=np.concatenate([np.arange(length, dtype=np.int64) for length in lengths]),
        row_lengths=tuple(lengths),
        places=labels - 1,
        targets=ids[labels],
        weights=weights[labels],
    )
