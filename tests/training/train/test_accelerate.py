from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve

from tests.training.train.test_train import RUN, as_json
from training.config import Recipe
from training.train.metrics import METRICS_FILE, read_metrics
from training.train.options import TrainOptions
from training.train.train import train

# accelerate's own --cpu starts several processes through MPI only; its multi-GPU launcher is torchrun, which
# starts them anywhere, and the run's own cpu option keeps them off the GPUs.
LAUNCH = (
    *("-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1", "--num_processes", "2"),
    *("--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port"),
)
SAME = ("step", "tokens", "loss", "held_out_nll")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_two_processes_train_like_one_with_twice_the_rows(
    options: TrainOptions, recipe: Recipe, tmp_path: Path
) -> None:
    """Each of the two processes gets 4 rows of a step, a single process all 8."""
    script = tmp_path / "run.py"
    script.write_text(RUN)
    two = evolve(options, output=tmp_path / "two")
    command = [sys.executable, *LAUNCH, str(free_port()), str(script), as_json(two, recipe)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "PYTHONPATH": os.getcwd()}
    done = subprocess.run(command, env=environment, timeout=200, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    train(options, recipe)
    curves = [read_metrics(output / METRICS_FILE) for output in (options.output, two.output)]
    assert len(curves[0]) == len(curves[1]) == 24
    for alone, shared in zip(*curves, strict=True):
        assert {name: shared[name] for name in SAME if name in shared} == pytest.approx(
            {name: alone[name] for name in SAME if name in alone}, rel=1e-3
        )
    record = json.loads((two.output / "run.json").read_text())
    assert record["result"]["finished"]
