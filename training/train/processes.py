"""Train in one process or in several on the cores of this machine, whichever makes more of it.

On a CPU a process a core is faster than one process with many threads: small products don't divide well,
and between them the threads wait. Several processes exchange gradients over the loopback interface alone.
"""

from __future__ import annotations

import os
import socket
import sys
import warnings
from typing import Any

import attrs
from attrs import frozen

from training.children import end_with_parent
from training.config import Recipe
from training.train.options import TrainOptions
from training.train.prepared import TrainError

_FEWEST_ROWS = 4
"""To a step and process: with fewer, packing has nothing to pack."""
_BYTES_BESIDE_WEIGHTS = 1_500_000_000
"""Libraries, adapter, optimiser and what a pass keeps for its way back."""
_WEIGHT_GROWTH = 4.0
"""Weights in float32 against a quantised file's."""


@frozen
class Workers:
    """How training is spread over a CPU."""

    processes: int
    threads: int
    """Of each process."""


def plan_workers(
    cores: int, memory_bytes: int, base_bytes: int, batch_rows: int, most: int | None = None
) -> Workers:
    """As many processes as cores, rows and memory allow, and all cores among them.

    Args:
        cores: physical ones.
        memory_bytes: free.
        base_bytes: size of the base's file.
        batch_rows: rows to a step.
        most: processes wanted at most.
    """
    needed = _BYTES_BESIDE_WEIGHTS + round(_WEIGHT_GROWTH * base_bytes)
    fitting = min(cores, batch_rows // _FEWEST_ROWS, memory_bytes // needed)
    processes = max(1, min(fitting, most) if most is not None else fitting)
    return Workers(processes, max(1, cores // processes))


def train_on_this_machine(
    options: TrainOptions, recipe: Recipe, base_bytes: int, most: int | None = None
) -> None:
    """Train where it is fastest: on a GPU if there is one, else in processes on the CPU's cores.

    Args:
        options: of the run; ``cpu`` leaves a GPU alone.
        recipe: the method's numbers.
        base_bytes: size of the base's file.
        most: processes wanted at most.

    Raises:
        FimLspError: as :func:`training.train.train.train` does.
        KeyboardInterrupt: it was interrupted; the checkpoints stay.
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
    """What accelerate will train on, as torch spells it; ``cpu`` leaves a GPU alone."""
    import torch

    if cpu:
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _train_in_processes(options: TrainOptions, recipe: Recipe, count: int) -> None:
    from multiprocessing import get_context

    from torch.multiprocessing.spawn import ProcessExitedException, start_processes

    problems = get_context("spawn").SimpleQueue()
    arguments = (options, recipe, count, _free_port(), problems)
    try:
        start_processes(_worker, arguments, nprocs=count, daemon=True)
    except ProcessExitedException as error:
        if not problems.empty():
            raise TrainError(*problems.get()) from error
        raise TrainError(
            f"A training process ended by itself ({error}); most often memory has run out.",
            "Run it again with fewer --processes; it goes on from the last checkpoint.",
        ) from error


def _worker(rank: int, options: TrainOptions, recipe: Recipe, count: int, port: int, problems: Any) -> None:
    """One of the processes; its environment is what torchrun would give it."""
    from fim_lsp.errors import FimLspError
    from training.train.train import train

    end_with_parent()
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    os.environ.update({name: str(number) for name, number in numbers.items()})
    os.environ.update({"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), **_loopback()})
    warnings.simplefilter("ignore")
    try:
        train(options, recipe)
    except FimLspError as error:
        problems.put((error.problem, error.remedy))
        sys.exit(1)


def _loopback() -> dict[str, str]:
    """Gloo would otherwise listen on whatever the host's name resolves to."""
    names = {name for _, name in socket.if_nameindex()} & {"lo", "lo0"}
    return {"GLOO_SOCKET_IFNAME": names.pop()} if names else {}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
