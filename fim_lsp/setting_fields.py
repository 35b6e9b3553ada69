"""Make the fields of settings: each keeps its description and bounds. See :mod:`fim_lsp.settings`."""

from __future__ import annotations

from typing import Any, TypeVar

from attrs import field

from fim_lsp.strict import bounds

T = TypeVar("T")


def camel_case(name: str) -> str:
    """Spell an attribute's name as clients do: ``gpu_layers`` -> ``gpuLayers``."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def setting(
    default: T,
    about: str,
    *,
    common: bool = False,
    at_least: float | None = None,
    at_most: float | None = None,
) -> T:
    """Make an attrs field that keeps its description and bounds for :func:`table`.

    Args:
        default: the value if nothing is set.
        about: the description that users read; whole sentences.
        common: True if most users may want to change it. The others are for experts.
        at_least: the smallest value.
        at_most: the largest value.
    """
    return field(
        default=default,
        metadata=metadata(about, common, at_least, at_most),
        validator=bounds(at_least, at_most, camel_case),
    )


def metadata(
    about: str, common: bool = False, at_least: float | None = None, at_most: float | None = None
) -> dict[str, Any]:
    """Return what the table of settings knows about a field."""
    return {"about": about, "common": common, "at_least": at_least, "at_most": at_most}
