"""The cores that others keep busy, and the threads of a prefill that follow from them."""

from __future__ import annotations

import pytest

from fim_lsp.engine.machine_load import CpuSample, MachineLoad, busy_processors
from fim_lsp.engine.thread_control import prefill_threads


def test_own_work_is_no_load():
    before, after = CpuSample(10.0, 100.0, 50.0), CpuSample(12.0, 106.0, 53.0)
    assert busy_processors(before, after) == 1.5
    assert busy_processors(before, CpuSample(12.0, 102.0, 53.0)) == 0


def test_the_last_load_stands_while_the_time_is_too_short_to_tell():
    samples = [CpuSample(0, 0, 0), CpuSample(1, 3, 1), CpuSample(1.01, 3.0, 1), CpuSample(2, 3, 1)]
    load = MachineLoad(lambda: samples.pop(0))
    assert [load.busy() for _ in range(3)] == [2.0, 2.0, 0.0]


def test_a_real_sample_never_goes_back():
    before, after = CpuSample.now(), CpuSample.now()
    assert after.all_s >= before.all_s > 0
    assert after.own_s >= before.own_s > 0


@pytest.mark.parametrize(
    ("decoding", "cores", "busy", "threads"),
    [(1, 2, 0.1, 2), (1, 2, 1.0, 1), (7, 8, 0.0, 8), (3, 8, 4.2, 4), (3, 8, 9.0, 3), (1, 1, 0.0, 1)],
)
def test_a_prefill_uses_the_cores_that_are_free(decoding, cores, busy, threads):
    assert prefill_threads(decoding, cores, busy) == threads
