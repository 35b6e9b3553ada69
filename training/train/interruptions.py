"""Events that end a run early: signals, and too little memory or disk, with what the user can do about it."""

from __future__ import annotations

import errno
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from training.config import Recipe
from training.train import TrainError
from training.train.options import TrainOptions

_OUT_OF_MEMORY = ("not enough memory", "can't allocate memory", "out of memory")
"""Phrases in the messages of torch's ``RuntimeError``."""


@contextmanager
def collect_signals(*, is_only_process: bool) -> Iterator[list[int]]:
    """Collect Ctrl-C and SIGTERM, so that the run ends after its step and a checkpoint.

    A second signal ends the run at once.

    Args:
        is_only_process: False for one of several processes, which keeps the usual handlers: it can't stop by
            itself while the others wait for its gradients. There the launcher ends all processes, and the
            last checkpoint is what remains.

    Yields:
        The signals received so far; empty while the run may continue.
    """
    received: list[int] = []
    if not is_only_process or threading.current_thread() is not threading.main_thread():
        yield received
        return

    def handle(number: int, _: object) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def explain_shortages(options: TrainOptions, recipe: Recipe) -> Iterator[None]:
    """Turn errors of a full memory or disk into a :class:`TrainError` with a remedy."""
    try:
        yield
    except MemoryError as error:
        raise _out_of_memory(options, recipe) from error
    except RuntimeError as error:
        if not any(phrase in str(error).lower() for phrase in _OUT_OF_MEMORY):
            raise
        raise _out_of_memory(options, recipe) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise TrainError(
            f"The disk of {options.output} is full.", "Free some room and continue with --resume."
        ) from error


def _out_of_memory(options: TrainOptions, recipe: Recipe) -> TrainError:
    """Return the error; a run can be resumed with smaller passes, but not with other rows or another rank."""
    row_tokens = recipe.train.max_tokens
    smaller = f"a lower --max-row-tokens (now {row_tokens}) or --rank (now {recipe.train.rank})"
    if not options.gradient_checkpointing:
        smaller = "--gradient-checkpointing, " + smaller
    problem = "There is not enough memory for this run."
    if options.pass_tokens <= row_tokens:
        return TrainError(problem, f"Begin anew with {smaller}.")
    return TrainError(
        problem,
        f"Lower --pass-tokens (now {options.pass_tokens}) and continue with --resume; "
        f"if that is not enough, begin anew with {smaller}.",
    )
