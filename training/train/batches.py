"""The rows of each step and their layout: a pure function of seed, step and number of processes.

No state is kept from step to step, so a resumed run needs only the step's number to continue with the same
rows. A step's rows are distributed to the processes by length, so that the processes finish together. Each
process distributes its rows to passes of at most ``pass_tokens`` tokens. In a pass the rows lie one after the
other without padding, so sorting rows of similar length together would save nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from training.data import DataError
from training.data.dataset import StoredRow


@frozen
class PackedPass:
    """Rows one after the other; the token at ``places[i]`` predicts ``targets[i]``."""

    ids: NDArray[np.int64] = field(repr=False)
    """(tokens,), the rows' token ids."""
    positions: NDArray[np.int64] = field(repr=False)
    """(tokens,), each token's position in its row."""
    row_lengths: tuple[int, ...]
    """Tokens of each row."""
    places: NDArray[np.int64] = field(repr=False)
    """(labels,), indices of the tokens before the labels."""
    targets: NDArray[np.int64] = field(repr=False)
    """(labels,), token ids."""
    weights: NDArray[np.float32] = field(repr=False)
    """(labels,), loss weights above 0."""


@frozen
class StepRows:
    """The rows of one optimiser step, for one process."""

    passes: tuple[tuple[int, ...], ...]
    """Row numbers of each pass of this process; no pass is empty."""
    rows: tuple[int, ...] = field(repr=False)
    """Row numbers of the whole step, over all processes."""


@frozen
class Sampler:
    """Chooses the rows of each step: in each epoch every usable row once, in a new order."""

    usable: NDArray[np.int64] = field(repr=False)
    """Numbers of the rows that can be trained on."""
    lengths: NDArray[np.int64] = field(repr=False)
    """Tokens of every row, usable or not."""
    batch_rows: int
    """Rows of a step, over all processes."""
    pass_tokens: int
    """Most tokens of a pass."""
    seed: int
    rank: int = 0
    """Number of this process."""
    processes: int = 1

    def step(self, number: int) -> StepRows:
        """Return the rows of step ``number`` (from 0) and this process's share of them."""
        rows = self._rows(number)
        by_length = sorted(rows, key=lambda row: (-self.lengths[row], row))
        shares: list[list[int]] = [[] for _ in range(self.processes)]
        loads = [0] * self.processes
        for row in by_length:
            lightest = loads.index(min(loads))
            shares[lightest].append(row)
            loads[lightest] += int(self.lengths[row])
        return StepRows(split_passes(shares[self.rank], self.lengths, self.pass_tokens), tuple(rows))

    def tokens(self, number: int) -> int:
        """Return the number of tokens of step ``number``, over all processes."""
        return int(self.lengths[self._rows(number)].sum())

    def _rows(self, number: int) -> list[int]:
        size = len(self.usable)
        draws = range(number * self.batch_rows, (number + 1) * self.batch_rows)
        orders = {epoch: self._order(epoch) for epoch in range(draws[0] // size, draws[-1] // size + 1)}
        return [int(self.usable[orders[draw // size][draw % size]]) for draw in draws]

    def _order(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng((self.seed, epoch)).permutation(len(self.usable))


def split_passes(
    rows: Sequence[int], lengths: NDArray[np.signedinteger], pass_tokens: int
) -> tuple[tuple[int, ...], ...]:
    """Distribute rows to passes in the order given; a row longer than a pass gets a pass of its own."""
    passes: list[list[int]] = []
    room = 0
    for row in rows:
        length = int(lengths[row])
        if not passes or length > room:
            passes.append([])
            room = pass_tokens
        passes[-1].append(row)
        room -= length
    return tuple(tuple(numbers) for numbers in passes)


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
    """Return a sampler of the rows that have labels and are not too long.

    Args:
        lengths: (rows,), tokens of each row.
        supervised: (rows,), whether a row has a label.
        batch_rows: rows of a step, over all processes.
        pass_tokens: most tokens of a pass.
        max_tokens: longer rows are skipped.
        seed: decides the order of the rows.
        rank: number of this process.
        processes: how many processes share a step.

    Raises:
        DataError: no row can be used, or a step has fewer rows than there are processes.
    """
    usable = np.flatnonzero((lengths <= max_tokens) & (lengths > 1) & supervised)
    if not len(usable):
        raise DataError(
            f"None of {len(lengths)} rows can be trained on: all are longer than {max_tokens} tokens "
            "or have no loss.",
            "Raise --max-row-tokens, or prepare the data set again.",
        )
    if batch_rows < processes:
        raise DataError(
            f"A step of {batch_rows} rows can't be shared by {processes} processes.", "Raise --batch-rows."
        )
    return Sampler(usable, lengths.astype(np.int64), batch_rows, pass_tokens, seed, rank, processes)


def label_weights(row: StoredRow) -> NDArray[np.float32]:
    """Return the loss weight of each token of a row as a target; the first token has no token before it."""
    weights: NDArray[np.float32] = np.array(row.weights, dtype=np.float32)
    weights[0] = 0.0
    return weights


def pack(rows: Sequence[StoredRow]) -> PackedPass:
    """Lay rows one after the other."""
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
