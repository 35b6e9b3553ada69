"""Read the messages in which clients report what became of a suggestion. Ignore what can't be read.

The notifications are those of Copilot's language server: ``{item}`` and ``{item, acceptedLength}``, with the
item as this server sent it. The specification does not have them, so pygls hands on their parameters without
types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen
from lsprotocol import types


@frozen
class NamedSuggestion:
    """The suggestion that a command or notification is about, as far as it names one."""

    uri: str | None = None
    """None for the latest one of all documents: entries of a completion menu name none."""
    chars: int | None = None
    """Length of the suggestion at the cursor."""
    candidate: int = 0
    """Which of several suggestions; 0 is the first."""


def suggestion_of_command(arguments: Any) -> NamedSuggestion:
    """Read the arguments of ``fimLsp.accepted``.

    Example: ``[{"uri": "file:///a.py", "length": 4}]``.
    """
    first = arguments[0] if isinstance(arguments, Sequence) and arguments else None
    uri, chars = _get(first, "uri"), _natural_number(_get(first, "length"))
    candidate = _natural_number(_get(first, "candidate")) or 0
    return NamedSuggestion(uri if isinstance(uri, str) else None, chars, candidate)


def suggestion_of_item(params: Any) -> NamedSuggestion:
    """Read the item of a notification, which still has the command that this server gave it."""
    return suggestion_of_command(_get(_get(_get(params, "item"), "command"), "arguments"))


def accepted_chars(params: Any) -> int | None:
    """Return how many characters ``didPartiallyAcceptCompletion`` reports as accepted; None if it does not.

    ``acceptedLength`` counts UTF-16 units from the start of the inserted text. At a line's end that text
    begins with what is typed already.

    Example: of ``return x``, with ``return `` typed already and an accepted length of 8: 1.
    """
    text = _get(_get(params, "item"), "insertText")
    units = _natural_number(_get(params, "acceptedLength"))
    chars = suggestion_of_item(params).chars
    if not isinstance(text, str) or units is None or chars is None:
        return None
    inserted = text.encode("utf-16-le", "surrogatepass")[: 2 * units].decode("utf-16-le", "ignore")
    return max(0, len(inserted) - (len(text) - chars))


def range_of_command(arguments: Any) -> tuple[str, types.Position, types.Position] | None:
    """Read the URI and range of ``fimLsp.expected``; None if one is malformed.

    Example: ``[{"uri": "file:///a.py", "range": {"start": …, "end": …}}]``.
    """
    first = arguments[0] if isinstance(arguments, Sequence) and arguments else None
    uri, places = _get(first, "uri"), [_get(_get(first, "range"), name) for name in ("start", "end")]
    numbers = [_natural_number(_get(place, name)) for place in places for name in ("line", "character")]
    if not isinstance(uri, str) or None in numbers:
        return None
    start_line, start, end_line, end = (number or 0 for number in numbers)
    return uri, types.Position(start_line, start), types.Position(end_line, end)


def _get(value: Any, key: str) -> Any:
    """Return a member of an untyped value, which is a dict or, from pygls, a named tuple."""
    return value.get(key) if isinstance(value, Mapping) else getattr(value, key, None)


def _natural_number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
