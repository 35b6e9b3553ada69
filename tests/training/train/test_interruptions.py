from __future__ import annotations

import errno
import os
import signal

import pytest

from training.config import Recipe
from training.train import TrainError
from training.train.interruptions import collect_signals, explain_shortages
from training.train.options import TrainOptions


def receive_two_signals() -> None:
    with collect_signals(is_only_process=True) as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals == [signal.SIGTERM]
        os.kill(os.getpid(), signal.SIGINT)


def test_the_first_signal_is_collected_and_the_second_ends_the_run() -> None:
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        receive_two_signals()
    assert signal.getsignal(signal.SIGTERM) is handler


def test_one_of_several_processes_keeps_its_handlers() -> None:
    handler = signal.getsignal(signal.SIGINT)
    with collect_signals(is_only_process=False) as signals:
        assert signal.getsignal(signal.SIGINT) is handler
    assert signals == []


def test_a_full_disk_is_explained(options: TrainOptions) -> None:
    with (
        pytest.raises(TrainError, match=r"disk of .*run is full.*--resume"),
        explain_shortages(options, Recipe()),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_smaller_passes_are_suggested_while_they_can_be_smaller(options: TrainOptions) -> None:
    recipe = Recipe()
    roomy = TrainOptions(options.data, options.base, options.output, pass_tokens=recipe.train.max_tokens + 1)
    with (
        pytest.raises(TrainError, match=r"Lower --pass-tokens \(now 513\)"),
        explain_shortages(roomy, recipe),
    ):
        raise MemoryError


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), OSError(errno.EACCES, "denied")])
def test_other_errors_pass(options: TrainOptions, error: Exception) -> None:
    with pytest.raises(type(error), match=str(error.args[-1])), explain_shortages(options, Recipe()):
        raise error
