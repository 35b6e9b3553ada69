"""Fields of the settings' classes: a default, and the facts that pages and editors show about it."""

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
    user_only: bool = False,
    secret: bool = False,
) -> T:
    """Make an attrs field that keeps its description and bounds for :func:`fim_lsp.settings.table`.

    Args:
        default: the value if nothing is set.
        about: the description that users read; whole sentences.
        common: True if most users may want to change it. The others are for experts.
        at_least: the smallest value.
        at_most: the largest value.
        user_only: True if only the user's own settings file and the command line may set it: an editor also
            sends what a workspace sets, and a workspace comes from someone else.
        secret: True if the value must not be shown or logged.
    """
    return field(
        default=default,
        metadata=metadata(about, common, at_least, at_most, user_only),
        validator=bounds(at_least, at_most, camel_case),
        repr=not secret,
    )


def metadata(
    about: str,
    common: bool = False,
    at_least: float | None = None,
    at_most: float | None = None,
    user_only: bool = False,
) -> dict[str, Any]:
    """Return what is known of a setting, for a field that is not made by :func:`setting`."""
    return {
        "about": about,
        "common": common,
        "at_least": at_least,
        "at_most": at_most,
        "user_only": user_only,
    }
