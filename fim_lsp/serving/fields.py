"""Read the fields of a request strictly: wrong types, values out of bounds and unknown names are refused."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from fim_lsp.serving.refusals import RefusedError

_SURROGATES = re.compile("[\ud800-\udfff]")


def parse_body(body: bytes) -> Any:
    """Parse the JSON of a request.

    Lone surrogates, which JavaScript sends where it cuts a character in half, become U+FFFD: they have no
    UTF-8.

    Raises:
        RefusedError: no UTF-8, or no JSON.
    """
    try:
        return _without_surrogates(json.loads(body.decode("utf-8"), parse_constant=_refuse_constant))
    except UnicodeDecodeError as error:
        raise RefusedError(400, f"The body is no UTF-8: byte {error.start} is wrong.") from None
    except (ValueError, RecursionError):
        raise RefusedError(400, "The body is no JSON.") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _whole(value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_whole(key): _without_surrogates(item) for key, item in value.items()}
    return value


def _whole(text: str) -> str:
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)


@frozen
class KnownFields:
    """The fields that a request of one kind may have."""

    used: frozenset[str]
    neutral: Mapping[str, tuple[Any, ...]] = field(factory=dict)
    """Fields that are not supported, and the values of them that change nothing; null is always one."""
    ignored: frozenset[str] = frozenset()
    """Hints, and fields that only name what the server does anyway."""


@frozen
class Fields:
    """The fields of a request, or of an object in it."""

    values: Mapping[str, Any] = field(repr=False)
    where: str = ""
    """Name of the object in front of each field's name, with a dot."""

    def check(self, known: KnownFields) -> None:
        """Refuse fields that are not known, and values that are not supported.

        Raises:
            RefusedError: names the field.
        """
        for name, value in self.values.items():
            if name in known.used or name in known.ignored or value is None:
                if name in known.used or name in known.ignored or name in known.neutral:
                    continue
            elif name in known.neutral:
                # 1 == True: a switch is not a number.
                if any(value == other and type(value) is type(other) for other in known.neutral[name]):
                    continue
                raise self._refused(name, "is not supported", "Leave it out.", "unsupported_parameter")
            raise self._refused(name, "is not known here", "Leave it out.", "unknown_parameter")

    def text(self, name: str, default: str = "") -> str:
        """Return a string."""
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self._refused(name, "must be a string")
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a switch."""
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self._refused(name, "must be true or false")
        return value

    def whole(self, name: str, default: int, at_least: int, at_most: int) -> int:
        """Return a whole number within bounds."""
        value = self.values.get(name)
        if value is None:
            return default
        # Some clients send 64.0.
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not at_least <= value <= at_most:
            raise self._refused(name, f"must be a whole number from {at_least} to {at_most}")
        return value

    def number(self, name: str, default: float, at_least: float, at_most: float) -> float:
        """Return a number within bounds."""
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not at_least <= value <= at_most:
            raise self._refused(name, f"must be a number from {at_least:g} to {at_most:g}")
        return float(value)

    def texts(self, name: str, most: int, longest: int) -> tuple[str, ...]:
        """Return a string or a list of strings as a tuple, without empty ones."""
        value = self.values.get(name)
        items = [] if value is None else [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise self._refused(name, "must be a string or a list of strings")
        if len(items) > most or any(len(item) > longest for item in items):
            raise self._refused(name, f"may have {most} strings of {longest} characters at most")
        return tuple(item for item in items if item)

    def objects(self, name: str, most: int) -> Sequence[Fields]:
        """Return a list of objects; empty without one."""
        value = self.values.get(name)
        items = [] if value is None else value
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise self._refused(name, "must be a list of objects")
        if len(items) > most:
            raise self._refused(name, f"may have {most} entries at most")
        return [Fields(item, f"{self.where}{name}[{index}].") for index, item in enumerate(items)]

    def object(self, name: str) -> Fields:
        """Return an object; an empty one without it."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, dict):
            raise self._refused(name, "must be an object")
        return Fields(value or {}, f"{self.where}{name}.")

    def refused(self, name: str, problem: str) -> RefusedError:
        """Return the refusal of a field's value."""
        return self._refused(name, problem)

    def _refused(
        self, name: str, problem: str, remedy: str = "", code: str = "invalid_value"
    ) -> RefusedError:
        shown = self.where + name[:80]
        return RefusedError(400, f"The field {shown} {problem}.", remedy, param=shown, name=code)
