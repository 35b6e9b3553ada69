"""How the minutes of a run are divided, once it is known what filling a hole costs on this machine.

What was spent before is gone. Export is estimated from the base's size. Judging gets a quarter of the rest,
or more where the fewest holes that tell anything take more. Training gets all else.
"""

from __future__ import annotations

import math

from attrs import frozen

from fim_lsp.errors import FimLspError

FEWEST_HOLES, MOST_HOLES = 40, 200
"""Below, an interval says nothing; above, it hardly narrows."""
_JUDGING_SHARE = 0.25
"""Of what is left after preparing."""
_SHORTEST_TRAINING = 30.0
_EXPORT_SECONDS, _EXPORT_SECONDS_PER_GB = 20.0, 200.0
"""Measured with 0.1 GB on two busy cores: merging, quantising, and the parity gate's three evaluations."""


class PlanError(FimLspError):
    """Minutes that don't suffice."""


@frozen
class Plan:
    """What each part of a run may take, in seconds, and how many holes judge it."""

    minutes: float
    """Of the whole run."""
    train_seconds: float
    export_seconds: float
    judge_seconds: float
    holes: int

    def __str__(self) -> str:
        parts = ((self.train_seconds, "training"), (self.export_seconds, "exporting"))
        told = ", ".join(f"{_clock(seconds)} for {what}" for seconds, what in parts)
        return f"{told}, {_clock(self.judge_seconds)} for judging it by {self.holes} held-out holes"


def make_plan(
    minutes: float, spent_seconds: float, hole_seconds: float, tried: int, available: int, base_bytes: int
) -> Plan:
    """Divide what is left of a run.

    Args:
        minutes: of the whole run.
        spent_seconds: on preparing, and on letting the base fill the first holes.
        hole_seconds: what one hole took.
        tried: holes that the base has filled.
        available: holes that there are.
        base_bytes: size of the base's file.

    Raises:
        PlanError: nothing would be left for training; the remedy says how many minutes it takes.
    """
    left = minutes * 60 - spent_seconds
    export = _EXPORT_SECONDS + _EXPORT_SECONDS_PER_GB * base_bytes / 1e9
    # Every hole is filled twice: by the base and by what was trained.
    affordable = int(_JUDGING_SHARE * left / (2 * max(hole_seconds, 1e-6)))
    holes = min(max(affordable, FEWEST_HOLES), MOST_HOLES, available)
    judging = (2 * holes - tried) * hole_seconds
    train = left - export - judging
    if train < _SHORTEST_TRAINING:
        fewest = (2 * min(FEWEST_HOLES, available) - tried) * hole_seconds
        needed = (spent_seconds + export + fewest + _SHORTEST_TRAINING) / (1 - _JUDGING_SHARE)
        raise PlanError(
            f"{minutes:g} minutes are too few: {_clock(spent_seconds)} went into preparing, and exporting "
            f"and judging will take {_clock(export + fewest)}.",
            f"Run it again with --minutes {math.ceil(needed / 60)} or more; what was prepared is kept.",
        )
    return Plan(minutes, train, export, judging, holes)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
