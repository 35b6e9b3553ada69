"""Divide the minutes of a run, once it is known how long filling a hole takes on this machine.

The time for export is estimated from the base's size. A quarter of the time that is left goes to evaluation,
or more if the fewest holes that give a useful figure take longer. Training gets the rest.
"""

from __future__ import annotations

import math

from attrs import frozen

from fim_lsp.errors import FimLspError

FEWEST_HOLES, MOST_HOLES = 40, 200
"""With fewer holes the intervals are too wide to conclude anything; with more they hardly narrow."""
_EVALUATION_SHARE = 0.25
"""Share of the time that is left after preparing."""
_SHORTEST_TRAINING = 30.0
"""Seconds."""
_EXPORT_SECONDS, _EXPORT_SECONDS_PER_GB = 20.0, 200.0
"""Measured with 0.1 GB on two busy cores: merging, quantising, three evaluations of the parity check."""


class PlanError(FimLspError):
    """Too few minutes for a run."""


@frozen
class RunPlan:
    """The time of each part of a run in seconds, and the number of holes to evaluate on."""

    minutes: float
    """Minutes of the whole run."""
    train_seconds: float
    export_seconds: float
    evaluate_seconds: float
    holes: int

    def __str__(self) -> str:
        parts = (
            f"{_minutes_and_seconds(self.train_seconds)} for training",
            f"{_minutes_and_seconds(self.export_seconds)} for exporting",
            f"{_minutes_and_seconds(self.evaluate_seconds)} for evaluating {self.holes} held-out holes",
        )
        return ", ".join(parts)


def make_plan(
    minutes: float, spent_seconds: float, hole_seconds: float, tried: int, available: int, base_bytes: int
) -> RunPlan:
    """Divide the time that is left of a run.

    Args:
        minutes: minutes of the whole run.
        spent_seconds: time spent on preparing, and on the first holes that the base filled.
        hole_seconds: time to fill one hole.
        tried: number of holes that the base has filled.
        available: number of holes that were cut.
        base_bytes: size of the base's file.

    Raises:
        PlanError: no time would be left for training; the remedy names the minutes needed.
    """
    left = minutes * 60 - spent_seconds
    export = _EXPORT_SECONDS + _EXPORT_SECONDS_PER_GB * base_bytes / 1e9
    # Every hole is filled twice: by the base and by the tuned model.
    affordable = int(_EVALUATION_SHARE * left / (2 * max(hole_seconds, 1e-6)))
    holes = min(max(affordable, FEWEST_HOLES), MOST_HOLES, available)
    evaluate = (2 * holes - tried) * hole_seconds
    train = left - export - evaluate
    if train < _SHORTEST_TRAINING:
        fewest = (2 * min(FEWEST_HOLES, available) - tried) * hole_seconds
        needed = (spent_seconds + export + fewest + _SHORTEST_TRAINING) / (1 - _EVALUATION_SHARE)
        raise PlanError(
            f"{minutes:g} minutes are too few: preparing took {_minutes_and_seconds(spent_seconds)}, and "
            f"exporting and evaluating will take {_minutes_and_seconds(export + fewest)}.",
            f"Run it again with --minutes {math.ceil(needed / 60)} or more; the prepared data is kept.",
        )
    return RunPlan(minutes, train, export, evaluate, holes)


def _minutes_and_seconds(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
