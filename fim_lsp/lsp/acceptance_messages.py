"""What clients tell of suggestions, read for the recorder; what does not parse tells nothing.

The notifications are those of Copilot's language server, which the specification does not know, so their
parameters come untyped: ``{item}`` and ``{item, acceptedLength}``, the item as we had sent it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen


@frozen
class Named:
    """The suggestion that a command or notification is about, as far as it says."""

    uri: str | None = None
    """None for the latest one of all documents: entries of a menu name none."""
    chars: int | None = None
    """Length of what was offered at the cursor."""
    candidate: int = 0
    """Which of several suggestions; 0 is the first."""


def named(arguments: Any) -> Named:
    """Read the arguments of ``fimLsp.accepted``."""
    first = arguments[0] if isinstance(arguments, Sequence) and arguments else None
    uri, chars = _get(first, "uri"), _get(first, "length")
    candidate = _whole(_get(first, "candidate")) or 0
    return Named(uri if isinstance(uri, str) else None, _whole(chars), candidate)


def named_by_item(params: Any) -> Named:
    """Read the item of a notification, which still has the command that we gave it."""
    return named(_get(_get(_get(params, "item"), "command"), "arguments"))


def accepted_part(params: Any) -> int | None:
    """Characters of the suggestion that ``didPartiallyAcceptCompletion`` tells of; None if it does not.

    ``acceptedLength`` counts UTF-16 units from the start of the inserted text, which at a line's end begins
    with what is typed already.
    """
    text, units = _get(_get(params, "item"), "insertText"), _whole(_get(params, "acceptedLength"))
    chars = named_by_item(params).chars
    if not isinstance(text, str) or units is None or chars is None:
        return None
    inserted = text.encode("utf-16-le", "surrogatepass")[: 2 * units].decode("utf-16-le", "ignore")
    return max(0, len(inserted) - (len(text) - chars))


def _get(value: Any, key: str) -> Any:
    """A member of an untyped value, which pygls hands on as a dict or as a named tuple."""
    return value.get(key) if isinstance(value, Mapping) else getattr(value, key, None)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
