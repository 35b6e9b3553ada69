from __future__ import annotations

from typing import Literal

import pytest
from attrs import field, frozen

from fim_lsp.strict import StrictError, Wording, bounds, merge, structure


@frozen
class Inner:
    count: int = field(default=1, validator=bounds(at_least=0, at_most=9, spell=str.upper))
    share: float | None = None


@frozen
class Outer:
    name: str
    kind: Literal["a", "b"] = "a"
    words: tuple[str, ...] = ()
    inner: Inner = Inner()
    items: tuple[Inner, ...] = ()


_UPPER = Wording("file", "entry", "a table", str.upper)


def test_values_become_frozen_classes_with_the_spelling_of_the_file() -> None:
    values = {"NAME": "x", "WORDS": ["y"], "INNER": {"SHARE": 1}, "ITEMS": [{"COUNT": 2}]}
    assert structure(values, Outer, _UPPER) == Outer("x", "a", ("y",), Inner(1, 1.0), (Inner(2),))


def test_every_problem_is_named_with_its_path() -> None:
    values = {"KIND": "c", "INNER": {"COUNT": "3", "SIZE": 1}, "ITEMS": [{}, {"COUNT": True}], "WORDS": "a"}
    with pytest.raises(StrictError) as caught:
        structure(values, Outer, _UPPER)
    assert set(caught.value.problems) == {
        "required, and missing @ file.NAME",
        "expected one of a, b, not 'c' @ file.KIND",
        "expected int, not '3' @ file.INNER.COUNT",
        "unknown entry SIZE @ file.INNER",
        "expected int, not True @ file.ITEMS[1].COUNT",
        "expected a list of strings, not 'a' @ file.WORDS",
    }


@pytest.mark.parametrize(
    ("inner", "problem"),
    [
        ({"CONT": 1}, "unknown entry CONT @ file.INNER (did you mean COUNT?)"),
        ({"SHAER": 1, "CONT": 1}, "unknown entry CONT, SHAER @ file.INNER (did you mean COUNT and SHARE?)"),
        ({"ZZZ": 1}, "unknown entry ZZZ @ file.INNER"),
    ],
)
def test_the_nearest_known_key_is_named(inner: dict[str, int], problem: str) -> None:
    with pytest.raises(StrictError) as caught:
        structure({"NAME": "x", "INNER": inner}, Outer, _UPPER)
    assert caught.value.problems == (problem,)


@pytest.mark.parametrize(
    ("value", "problem"), [(-1, "COUNT must be at least 0, not -1"), (10, "COUNT must be at most 9, not 10")]
)
def test_bounds(value: int, problem: str) -> None:
    with pytest.raises(StrictError, match=problem):
        structure({"NAME": "x", "INNER": {"COUNT": value}}, Outer, _UPPER)


def test_a_section_must_be_one() -> None:
    with pytest.raises(StrictError, match="expected a table, not 3"):
        structure({"NAME": "x", "INNER": 3}, Outer, _UPPER)


def test_the_later_layer_wins_key_by_key() -> None:
    layers = {"a": {"x": 1, "y": 1}, "b": [1]}, None, {"a": {"y": 2}, "b": [2]}
    assert merge(*layers) == {"a": {"x": 1, "y": 2}, "b": [2]}


def test_some_keys_are_replaced_whole() -> None:
    assert merge({"n": {"a": {"x": 1}}}, {"n": {"a": {"y": 2}}}, whole=frozenset({"a"})) == {
        "n": {"a": {"y": 2}}
    }
