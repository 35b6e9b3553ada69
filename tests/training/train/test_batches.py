from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from attrs import evolve

from training.data import DataError
from training.data.rows import TrainingRow
from training.train.batches import make_sampler, pack, split_passes

LENGTHS = np.random.default_rng(0).integers(10, 100, 50)


def sampler(**changes):
    given = {"batch_rows": 8, "pass_tokens": 150, "max_tokens": 100, "seed": 3}
    return make_sampler(LENGTHS, np.ones(50, bool), **(given | changes))


def test_an_epoch_has_every_row_once() -> None:
    dealt = sampler()
    seen = [row for number in range(100) for row in dealt.step(number).rows][:800]
    for begin in range(0, 800, 50):
        assert sorted(seen[begin : begin + 50]) == list(range(50))
    assert seen[:50] != seen[50:100]


def test_a_step_follows_from_its_number_alone() -> None:
    dealt = sampler()
    assert dealt.step(7) == sampler().step(7)
    assert dealt.step(7) != sampler(seed=4).step(7)


def test_processes_share_a_step_evenly() -> None:
    shares = [sampler(rank=rank, processes=3) for rank in range(3)]
    for number in range(10):
        steps = [share.step(number) for share in shares]
        assert {step.rows for step in steps} == {sampler().step(number).rows}
        dealt = [row for step in steps for rows in step.passes for row in rows]
        assert Counter(dealt) == Counter(steps[0].rows)
        loads = [sum(LENGTHS[row] for rows in step.passes for row in rows) for step in steps]
        assert max(loads) - min(loads) <= 100


def test_a_pass_holds_no_more_tokens_than_allowed() -> None:
    for rows in sampler().step(0).passes:
        assert sum(LENGTHS[list(rows)]) <= 150
    assert split_passes([0, 1], np.array([500, 10]), 150) == ((0,), (1,))


def test_rows_that_are_too_long_or_have_no_loss_are_left_out() -> None:
    supervised = np.arange(50) % 2 == 0
    dealt = make_sampler(LENGTHS, supervised, batch_rows=4, pass_tokens=99, max_tokens=60, seed=0)
    assert set(dealt.usable) == {row for row in range(0, 50, 2) if LENGTHS[row] <= 60}


def test_nothing_to_train_on_is_an_error() -> None:
    with pytest.raises(DataError, match=r"None of 50 rows.*9 tokens"):
        sampler(max_tokens=9)
    with pytest.raises(DataError, match="can't be shared by 9"):
        sampler(processes=9)


def test_labels_stand_one_after_their_places() -> None:
    row = TrainingRow((5, 6, 7), (1.0, 0.0, 0.5), 2, "node", "mid_line", "mid_line", "python", "x")
    row = evolve(row, tokens=np.array(row.tokens), weights=np.array(row.weights))
    packed = pack([row, row])
    assert packed.positions.tolist() == [0, 1, 2, 0, 1, 2]
    assert packed.places.tolist() == [1, 4]
    assert packed.targets.tolist() == [7, 7]
    assert packed.weights.tolist() == [0.5, 0.5]
