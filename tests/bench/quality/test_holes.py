"""Holes for the quality benchmark: seeded, of every kind, and at places where a person types."""

from __future__ import annotations

from benchmarks.quality.holes import SourceText, cut_holes, interleave

CODE = '''"""A module."""

import os


def total(items, tax):
    """Sum up."""
    # Each item counts.
    amount = sum(item.price for item in items)
    if tax:
        amount = round(amount * 1.2, 2)
    return amount


def report(items, path):
    lines = [str(item.price) for item in items]
    with open(path, "w") as file:
        file.write(os.linesep.join(lines))
    print(total(items, True), len(lines))
    return lines
'''
FILES = (
    SourceText("shop/total.py", "python", CODE),
    SourceText("shop/more.py", "python", CODE + "\nx = [1]\n"),
)


def test_each_hole_puts_the_file_together_again_and_has_a_name_of_its_own() -> None:
    holes = cut_holes("shop", FILES, 40, seed=1)
    texts = {file.path: file.text for file in FILES}
    assert all(hole.prefix + hole.middle + hole.suffix == texts[hole.path] for hole in holes)
    assert len({hole.name for hole in holes}) == len(holes) > 20
    assert {hole.kind for hole in holes} == {"line_rest", "line", "block", "arguments", "complete"}


def test_nothing_is_missing_where_a_place_is_complete_and_something_elsewhere() -> None:
    for hole in cut_holes("shop", FILES, 40, seed=1):
        assert (hole.middle == "") == (hole.kind == "complete")
        assert hole.middle == hole.middle.strip()


def test_no_hole_begins_in_a_comment_or_a_docstring() -> None:
    for hole in cut_holes("shop", FILES, 40, seed=2):
        assert not hole.prefix.endswith(("Sum", '"""A', "# Each", "# Each item"))


def test_more_holes_are_the_same_ones_and_others_behind_them() -> None:
    few, many = cut_holes("shop", FILES, 5, seed=3), cut_holes("shop", FILES, 15, seed=3)
    assert many[:5] == few
    assert cut_holes("shop", FILES, 5, seed=4) != few


def test_the_first_holes_are_spread_over_the_repositories() -> None:
    first, second = cut_holes("a", FILES, 3, seed=1), cut_holes("b", FILES, 3, seed=1)
    assert [hole.repository for hole in interleave((first, second))][:4] == ["a", "b", "a", "b"]
