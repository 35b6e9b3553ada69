"""An experiment: two arms that differ in model or adapter, and which of them a document belongs to.

A document stays in its arm, because its bucket comes from a hash of its address and of the experiment's name.
Buckets are also what the comparison counts as independent: suggestions in one document are alike.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import attrs
from attrs import field, frozen

from fim_lsp.setting_fields import metadata, setting

BUCKETS = 1000


def _not_empty(_: object, attribute: attrs.Attribute[Any], text: str) -> None:
    if not text:
        raise ValueError(f"{attribute.name} must not be empty")


@frozen
class ArmSettings:
    """One of the two things that are compared."""

    name: str = field(metadata=metadata("Name of the arm, for fim-lsp stats."), validator=_not_empty)
    share: float = setting(
        0.5, "Share of the documents, in relation to that of the other arm.", at_least=0.01
    )
    model: Literal["first", "second"] = setting(
        "first", "The model that answers: that of model.name, or that of model.second."
    )
    adapter: str = setting(
        "", "Path of a LoRA adapter, or its name on the server of model.remote, besides those of adapters."
    )
    scale: float = setting(1.0, "Scale of the adapter.", at_least=0.01, at_most=4)


def _two_arms(experiment: ExperimentSettings, _: attrs.Attribute[Any], arms: tuple[ArmSettings, ...]) -> None:
    if experiment.name and len({arm.name for arm in arms}) != 2:
        raise ValueError("arms must be two with different names")


@frozen
class ExperimentSettings:
    """A comparison of two arms. Everything stays on this machine."""

    name: str = setting("", "Name of the experiment. Another name draws the arms anew; empty for none.")
    arms: tuple[ArmSettings, ...] = field(
        default=(),
        metadata=metadata("The two arms, as a list of objects."),
        validator=_two_arms,
    )


@frozen
class Assignment:
    """The arm of a document."""

    arm: ArmSettings
    label: str
    """Experiment and arm, as they are recorded: ``style/plain``."""
    bucket: int
    """0 to 999. Several documents share one, so that it names none."""


def assign(experiment: ExperimentSettings, uri: str) -> Assignment | None:
    """Return the arm of a document, always the same one; None without an experiment."""
    if not experiment.name or len(experiment.arms) != 2:
        return None
    digest = hashlib.blake2b(f"{experiment.name}\n{uri}".encode("utf-8", "replace"), digest_size=8).digest()
    bucket = int.from_bytes(digest, "big") % BUCKETS
    first, second = experiment.arms
    part = first.share / (first.share + second.share)
    arm = first if bucket < part * BUCKETS else second
    return Assignment(arm, f"{experiment.name}/{arm.name}", bucket)


def uses_second_model(experiment: ExperimentSettings, uri: str) -> bool:
    """Tell whether the second model answers in a document."""
    assigned = assign(experiment, uri)
    return assigned is not None and assigned.arm.model == "second"


def arm_label(experiment: ExperimentSettings, uri: str) -> str:
    """Return experiment and arm of a document, for ``fimLsp.explain``; empty without an experiment."""
    assigned = assign(experiment, uri)
    return assigned.label if assigned is not None else ""
