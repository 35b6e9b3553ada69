"""The positions at which prompts are made before the cursor comes to the hole."""

from __future__ import annotations

import pytest

from benchmarks.staleness.cases import ARMS, NEAR, cases

from .holes import evaluation_hole

PREFIX = "".join(f"line_{number} = {number}\n" for number in range(60)) + "total = "
HOLE = evaluation_hole("a#0", PREFIX, "sum(lines)", "\nprint(total)\n")


@pytest.mark.parametrize("order", ["psm", "suffix_first"])
def test_every_case_ends_at_the_hole_without_its_middle(order):
    found = cases(HOLE, order, seed=1)
    assert [case.arm for case in found] == [*ARMS]
    for case in found:
        assert (case.request.prefix, case.request.suffix) == (HOLE.prefix, HOLE.suffix)


@pytest.mark.parametrize("order", ["psm", "suffix_first"])
def test_a_kept_prompt_was_made_at_a_line_start_near_or_far(order):
    _, *kept = cases(HOLE, order, seed=1)
    for case in kept:
        assert 1 <= case.distance < 700
        assert (case.distance < 200) == (case.arm == NEAR)
        assert case.before.prefix == HOLE.prefix[: -case.distance]
        assert case.before.prefix.endswith("\n")


def test_suffix_first_the_cursor_went_down_into_text_that_was_there():
    _, near, _ = cases(HOLE, "suffix_first", seed=1)
    assert near.before.document.text == near.request.document.text


def test_psm_what_is_between_was_typed_since():
    _, near, _ = cases(HOLE, "psm", seed=1)
    assert near.before.suffix == HOLE.suffix
    assert len(near.request.document.text) - len(near.before.document.text) == near.distance


def test_the_seed_decides_the_distances():
    one, other = (
        [case.distance for seed in seeds for case in cases(HOLE, "psm", seed)]
        for seeds in (range(8), range(8, 16))
    )
    assert one == [case.distance for seed in range(8) for case in cases(HOLE, "psm", seed)]
    assert one != other


def test_a_hole_near_the_top_of_its_file_is_left_out():
    assert cases(evaluation_hole("b#0", "a = ", "1", "\n"), "psm", seed=1) == ()
