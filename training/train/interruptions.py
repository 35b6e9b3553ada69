"""What ends a run before its time: signals, memory, disk; each with what to do about it."""

from __future__ import annotations

import errno
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from training.config import Recipe
from training.train.options import TrainOptions
from training.train.prepared import TrainError

_OUT_OF_MEMORY = ("not enough memory", "can't allocate memory", "out of memory")


@contextmanager
def interruption(*, alone: bool) -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM end the run after the step and its checkpoint; a second Ctrl-C ends it at once.

    Args:
        alone: whether this is the only process. One of several can't stop by itself while the others wait
            for its gradients, so there the launcher ends all, and the last checkpoint is what stays.

    Yields:
        The signals received; empty while the run may go on.
    """
    received: list[int] = []
    if not alone or threading.current_thread() is not threading.main_thread():
        yield received
        return

    def note(number: int, _: object) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def understandable_errors(options: TrainOptions, recipe: Recipe) -> Iterator[None]:
    """Say what to lower when memory runs out, and what to free when the disk does."""
    try:
        yield
    except MemoryError as error:
        raise _out_of_memory(options, recipe) from error
    except RuntimeError as error:
        if not any(sign in str(error).lower() for sign in _OUT_OF_MEMORY):
            raise
        raise _out_of_memory(options, recipe) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise TrainError(
            f"The disk of {options.output} is full.", "Free some room and go on with --resume."
        ) from error


def _out_of_memory(options: TrainOptions, recipe: Recipe) -> TrainError:
    """Passes can be made smaller within a run; what is trained can't."""
    row = recipe.train.max_tokens
    smaller = f"a lower --max-row-tokens (now {row}) or --rank (now {recipe.train.rank})"
    if not options.gradient_checkpointing:
        smaller = "--gradient-checkpointing, " + smaller
    if options.pass_tokens <= row:
        return TrainError("There is not enough memory for this run.", f"Begin anew with {smaller}.")
    return TrainError(
        "There is not enough memory for this run.",
        f"Lower --pass-tokens (now {options.pass_tokens}) and go on with --resume; "
        f"if that is not enough, begin anew with {smaller}.",
    )
