from __future__ import annotations

import pytest

from training.train.processes import Workers, plan_workers

GB = 1_000_000_000


@pytest.mark.parametrize(
    ("cores", "memory", "base", "most", "expected"),
    [
        (2, 16 * GB, GB // 10, None, Workers(2, 1)),
        (8, 64 * GB, GB // 10, None, Workers(4, 2)),
        (8, 64 * GB, GB // 10, 1, Workers(1, 8)),
        (8, 9 * GB, GB, None, Workers(1, 8)),
        (1, 2 * GB, GB, None, Workers(1, 1)),
    ],
)
def test_processes_have_a_core_rows_and_memory_each(
    cores: int, memory: int, base: int, most: int | None, expected: Workers
) -> None:
    assert plan_workers(cores, memory, base, batch_rows=16, most=most) == expected
