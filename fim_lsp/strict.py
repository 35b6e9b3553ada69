"""Plain values to frozen classes, strictly: nothing is converted, and every error comes with its path.

``"4"`` is not a number, ``true`` is not 1 and unknown keys are refused by name, because a misspelt setting
that silently does nothing costs an evening.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from operator import add
from typing import Any, Literal, TypeVar, get_args, get_origin

import attrs
from attrs import frozen
from cattrs import ClassValidationError, Converter, ForbiddenExtraKeysError, transform_error
from cattrs.gen import make_dict_structure_fn, override

T = TypeVar("T")


class StrictError(ValueError):
    """Values that do not fit; each problem names a path and what was expected there."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@frozen
class Wording:
    """The spelling of keys, and the words for errors in a kind of file."""

    root: str
    """First part of each path: ``fimLsp``."""
    key: str
    """The word for a key: ``setting``."""
    section: str
    """The word for a nested value, with its article: ``an object``."""
    spell: Callable[[str], str] = str
    """Gives the key of an attribute's name."""


def structure(values: Mapping[str, Any], cls: type[T], wording: Wording) -> T:
    """Make an instance of a frozen attrs class from nested plain values.

    Raises:
        StrictError: names every value of a wrong type or out of bounds, and every unknown or missing key.
    """
    try:
        return _converter(wording).structure(values, cls)
    except ClassValidationError as error:
        hints: list[str] = []

        def explain(problem: BaseException, _: type | None) -> str:
            hints.append(_hint(problem, wording))
            return _explanation(problem, wording)

        problems = transform_error(error, path=wording.root, format_exception=explain)
        spelt = (_spelt(problem, wording) for problem in problems)
        raise StrictError(tuple(map(add, spelt, hints))) from error


def merge(*layers: Mapping[str, Any] | None, whole: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Merge layers key by key; the later one wins. Nested dicts are merged, everything else is replaced.

    Args:
        layers: nested plain values; None counts as empty.
        whole: keys whose dicts are replaced, too.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in (layer or {}).items():
            nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
            merged[key] = merge(merged[key], value, whole=whole) if nested and key not in whole else value
    return merged


def bounds(
    at_least: float | None = None, at_most: float | None = None, spell: Callable[[str], str] = str
) -> Callable[[Any, attrs.Attribute[Any], Any], None]:
    """Return an attrs validator for numbers. None passes, where the type allows it."""

    def within(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is None:
            return
        # "not >=" and "not <=", because NaN is neither.
        if at_least is not None and not value >= at_least:
            raise ValueError(f"{spell(attribute.name)} must be at least {at_least:g}, not {value}")
        if at_most is not None and not value <= at_most:
            raise ValueError(f"{spell(attribute.name)} must be at most {at_most:g}, not {value}")

    return within


def object_in_list(target: Any) -> type[Any] | None:
    """Return ``X`` for ``tuple[X, ...]`` if X is an attrs class, else None."""
    inner = get_args(target)[0] if get_origin(target) is tuple else None
    return inner if inner is not None and attrs.has(inner) else None


def _spelt(problem: str, wording: Wording) -> str:
    """Spell the path at the end of a line of cattrs as the file does."""
    text, at, path = problem.rpartition(" @ ")
    root, *keys = path.split(".")
    return text + at + ".".join([root, *map(wording.spell, keys)])


def _explanation(error: BaseException, wording: Wording) -> str:
    extra = getattr(error, "extra_fields", None)
    if extra:
        return f"unknown {wording.key} " + ", ".join(sorted(extra))
    if isinstance(error, KeyError):
        return "required, and missing"
    return str(error) or type(error).__name__


def _hint(error: BaseException, wording: Wording) -> str:
    """Return the known keys that unknown ones are most like; empty for none.

    Example: for the key ``maxLine``, ``" (did you mean maxLines?)"``.
    """
    if not isinstance(error, ForbiddenExtraKeysError):
        return ""
    known = [wording.spell(each.name) for each in attrs.fields(error.cl)]
    nearest = (get_close_matches(key, known, n=1) for key in sorted(error.extra_fields))
    found = [names[0] for names in nearest if names]
    return f" (did you mean {' and '.join(found)}?)" if found else ""


def _converter(wording: Wording) -> Converter:
    converter = Converter(detailed_validation=True)
    converter.register_structure_hook(bool, _exactly(bool))
    converter.register_structure_hook(int, _exactly(int))
    converter.register_structure_hook(float, _exactly(int, float))
    converter.register_structure_hook(str, _exactly(str))
    converter.register_structure_hook_func(lambda t: t == tuple[str, ...], _structure_strings)
    converter.register_structure_hook_func(_is_literal, _structure_literal)
    converter.register_structure_hook_func(
        lambda t: object_in_list(t) is not None, lambda value, t: _structure_objects(converter, value, t)
    )
    converter.register_structure_hook_factory(attrs.has, lambda cls: _section_hook(converter, cls, wording))
    return converter


def _exactly(*types: type) -> Callable[[Any, Any], Any]:
    """Return a structure hook that takes values of these types only; bool is never a number here."""

    def structure_scalar(value: Any, target: Any) -> Any:
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise ValueError(f"expected {target.__name__}, not {value!r}")
        return target(value)

    return structure_scalar


def _is_literal(target: Any) -> bool:
    return get_origin(target) is Literal


def _structure_literal(value: Any, target: Any) -> Any:
    if value not in get_args(target):
        raise ValueError(f"expected one of {', '.join(map(str, get_args(target)))}, not {value!r}")
    return value


def _structure_strings(value: Any, _: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"expected a list of strings, not {value!r}")
    return tuple(value)


def _structure_objects(converter: Converter, value: Any, target: Any) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"expected a list of objects, not {value!r}")
    # As a list, so that cattrs notes the index of a bad one.
    objects: Any = list[get_args(target)[0]]  # type: ignore[misc]
    return tuple(converter.structure(value, objects))


def _section_hook(converter: Converter, cls: type[Any], wording: Wording) -> Callable[[Any, Any], Any]:
    fields = {each.name: override(rename=wording.spell(each.name)) for each in attrs.fields(cls)}
    # mypy can't match a dict of overrides against the keyword-only options of the same function.
    known = make_dict_structure_fn(cls, converter, _cattrs_forbid_extra_keys=True, **fields)  # type: ignore[arg-type]

    def structure_section(value: Any, target: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValueError(f"expected {wording.section}, not {value!r}")
        return known(value, target)

    return structure_section
