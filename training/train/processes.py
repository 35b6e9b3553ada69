"""Train in one process or in several on the cores of this machine, whichever is faster.

On a CPU one process for each core is faster than one process with many threads: small products don't divide
well, and the threads wait between them. The processes exchange gradients over the loopback interface alone.
"""

from __future__ import annotations

import os
import socket
import sys
import warnings
from typing import Any

import attrs
from attrs import frozen

from fim_lsp.errors import FimLspError
from training.children import end_with_parent
from training.config import Recipe
from training.train import TrainError
from training.train.options import TrainOptions

_FEWEST_ROWS = 4
"""Rows of a step for each process; with fewer rows a pass is not worth packing."""
_BYTES_BESIDE_WEIGHTS = 1_500_000_000
"""Memory of a process for libraries, adapter, optimiser and the activations of a pass."""
_WEIGHT_GROWTH = 4.0
"""Size of the weights in float32 as a multiple of the base's quantised file."""


@frozen
class Workers:
    """The processes on a CPU."""

    processes: int
    threads: int
    """Threads of each process."""


def plan_workers(
    cores: int, memory_bytes: int, base_bytes: int, batch_rows: int, most: int | None = None
) -> Workers:
    """Return as many processes as cores, rows and memory allow, with all cores divided among them.

    Args:
        cores: physical cores.
        memory_bytes: free memory.
        base_bytes: size of the base's file.
        batch_rows: rows of a step.
        most: upper limit of the processes; None for no limit.
    """
    needed = _BYTES_BESIDE_WEIGHTS + round(_WEIGHT_GROWTH * base_bytes)
    affordable = min(cores, batch_rows // _FEWEST_ROWS, memory_bytes // needed)
    processes = max(1, min(affordable, most) if most is not None else affordable)
    return Workers(processes, max(1, cores // processes))


def train_on_this_machine(
    options: TrainOptions, recipe: Recipe, base_bytes: int, most: int | None = None
) -> None:
    """Train where it is fastest: on a GPU if there is one, or else in processes on the CPU's cores.

    Args:
        options: of the run.
        recipe: the method's numbers.
        base_bytes: size of the base's file.
        most: upper limit of the processes; None for no limit.

    Raises:
        FimLspError: as :func:`training.train.train.train` does.
        KeyboardInterrupt: the run was interrupted; its checkpoints stay.
    """
    import psutil

    from training.train.train import train

    workers = Workers(1, 0)
    if training_device(cpu=options.cpu) == "cpu":
        cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
        free = psutil.virtual_memory().available
        workers = plan_workers(cores, free, base_bytes, recipe.train.batch_rows, most)
        options = attrs.evolve(options, cpu=True, threads=workers.threads)
    if workers.processes > 1:
        _train_in_processes(options, recipe, workers.processes)
    elif not train(options, recipe).finished:
        raise KeyboardInterrupt


def training_device(*, cpu: bool) -> str:
    """Return the device that accelerate will train on, by torch's name; with ``cpu`` no GPU."""
    import torch

    if cpu:
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _train_in_processes(options: TrainOptions, recipe: Recipe, count: int) -> None:
    from multiprocessing import get_context

    from torch.multiprocessing.spawn import ProcessExitedException, start_processes

    errors = get_context("spawn").SimpleQueue()
    arguments = (options, recipe, count, _free_port(), errors)
    try:
        start_processes(_train_in_process, arguments, nprocs=count, daemon=True)
    except ProcessExitedException as error:
        if not errors.empty():
            raise TrainError(*errors.get()) from error
        raise TrainError(
            f"A training process ended by itself ({error}); most often memory has run out.",
            "Run it again with fewer --processes; it continues from the last checkpoint.",
        ) from error


def _train_in_process(
    rank: int, options: TrainOptions, recipe: Recipe, count: int, port: int, errors: Any
) -> None:
    """Train as process ``rank`` of ``count``, with the environment variables that torchrun would set."""
    from training.train.train import train

    end_with_parent()
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    os.environ.update({name: str(number) for name, number in numbers.items()})
    os.environ.update({"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), **_loopback()})
    warnings.simplefilter("ignore")
    try:
        train(options, recipe)
    except FimLspError as error:
        errors.put((error.problem, error.remedy))
        sys.exit(1)


def _loopback() -> dict[str, str]:
    """Name the loopback interface for Gloo, which otherwise listens on the address of the host's name."""
    names = {name for _, name in socket.if_nameindex()} & {"lo", "lo0"}
    return {"GLOO_SOCKET_IFNAME": names.pop()} if names else {}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
