"""What the user refused stays refused at its place, and nowhere else."""

from __future__ import annotations

import pytest

from fim_lsp.completion.showing.refusals import Refusals, SuggestedLine
from fim_lsp.types import LineEdit
from tests.unit.completion.conftest import URI, request

CODE = "def f():\n    x = █\n    return x\n"


def line(marked: str, text: str) -> SuggestedLine:
    return SuggestedLine.of(request(marked), text)


def edit(start: tuple[int, int], end: tuple[int, int], breaks: int, *, deletes: bool = False) -> LineEdit:
    return LineEdit(start, end, breaks, deletes)


def refused(marked: str, text: str) -> Refusals:
    refusals = Refusals()
    refusals.dismissed(URI, line(marked, text))
    return refusals


def test_a_dismissed_suggestion_is_refused():
    assert refused(CODE, "compute(1)").is_refused(URI, line(CODE, "compute(1)"))


def test_it_is_the_same_when_a_part_of_it_is_typed():
    assert refused(CODE, "compute(1)").is_refused(URI, line(CODE.replace("█", "comp█"), "ute(1)"))


def test_it_is_the_same_with_more_lines_behind_it():
    assert refused(CODE, "compute(1)").is_refused(URI, line(CODE, "compute(1)\n    y = 2"))


def test_another_text_and_another_place_are_not_refused():
    refusals = refused(CODE, "compute(1)")
    assert not refusals.is_refused(URI, line(CODE, "compute(2)"))
    assert not refusals.is_refused(URI, line("\n" + CODE, "compute(1)"))
    assert not refusals.is_refused("file:///other.py", line(CODE, "compute(1)"))


def test_a_suggestion_typed_past_once_is_not_refused_but_twice_it_is():
    refusals, suggested = Refusals(), line(CODE, "compute(1)")
    refusals.typed_past(URI, suggested)
    assert not refusals.is_refused(URI, suggested)
    refusals.typed_past(URI, suggested)
    assert refusals.is_refused(URI, suggested)


def test_a_line_below_a_line_that_is_still_written_is_another_one():
    refusals = Refusals()
    refusals.typed_past(URI, line("x = a█\n", "\ny = 1"))
    refusals.typed_past(URI, line("x = ab█\n", "\ny = 1"))
    assert not refusals.is_refused(URI, line("x = abc█\n", "\ny = 1"))


def test_a_dismissed_line_below_is_refused_on_that_line_too():
    assert refused("x = a█\n", "\ny = 1").is_refused(URI, line("x = a\n█\n", "y = 1"))


@pytest.mark.parametrize(
    ("edits", "now"),
    [
        ([edit((0, 0), (0, 0), 2)], "# a\n# b\n" + CODE),
        ([edit((0, 8), (0, 8), 1)], "def f():\n    y = 1\n    x = █\n    return x\n"),
        ([edit((0, 0), (0, 0), 2), edit((0, 0), (1, 0), 0, deletes=True)], "# b\n" + CODE),
        ([edit((2, 12), (2, 12), 1)], CODE + "\n"),
        ([edit((1, 0), (1, 0), 1)], "def f():\n\n    x = █\n    return x\n"),
        ([edit((1, 8), (1, 8), 0)], CODE.replace("█", "comp█")),
    ],
    ids=["above", "the line above", "back and forth", "below", "its line moves down", "its own line"],
)
def test_edits_elsewhere_move_it_along(edits, now):
    refusals = refused(CODE, "compute(1)")
    refusals.edited(URI, edits)
    typed = "comp" if "comp" in now else ""
    assert refusals.is_refused(URI, line(now, "compute(1)"[len(typed) :]))


def test_a_closed_document_is_forgotten():
    refusals = refused(CODE, "compute(1)")
    refusals.forget(URI)
    assert not refusals.is_refused(URI, line(CODE, "compute(1)"))


def test_only_the_last_ones_are_remembered():
    refusals = Refusals()
    for number in range(60):
        refusals.dismissed(URI, line(CODE, f"compute({number})"))
    assert not refusals.is_refused(URI, line(CODE, "compute(0)"))
    assert refusals.is_refused(URI, line(CODE, "compute(59)"))
