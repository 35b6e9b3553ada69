"""Which sequence a prompt is evaluated in: as few tokens as possible are evaluated again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fim_lsp.engine.sequence import SequenceChoice, SlotFit, choose_sequence

FREE = SlotFit(0, 0, 0)


@pytest.mark.parametrize(
    ("why", "fits", "choice"),
    [
        ("all free: any one", [FREE, FREE], SequenceChoice(0)),
        ("typing on goes on where it was", [SlotFit(500, 499, 3), FREE], SequenceChoice(0)),
        ("the longest prefix wins", [SlotFit(500, 300, 9), SlotFit(500, 480, 1)], SequenceChoice(1)),
        ("of equals the latest", [SlotFit(500, 400, 1), SlotFit(500, 400, 2)], SequenceChoice(1)),
        ("another document takes a free one", [SlotFit(500, 3, 9), FREE], SequenceChoice(1)),
        ("else the least recently used", [SlotFit(500, 3, 9), SlotFit(500, 3, 4)], SequenceChoice(1)),
        ("a shared head is copied", [SlotFit(900, 200, 9), FREE], SequenceChoice(1, source=0)),
        (
            "though not over what it is copied from",
            [SlotFit(900, 200, 1), SlotFit(900, 0, 2)],
            SequenceChoice(1, source=0),
        ),
        ("a few tokens are not worth a copy", [SlotFit(900, 20, 9), FREE], SequenceChoice(1)),
        (
            "nor are a few more of them",
            [SlotFit(900, 110, 9), SlotFit(100, 100, 1)],
            SequenceChoice(1),
        ),
        (
            "a location drops its own tokens",
            [SlotFit(900, 200, 9, same_location=True), FREE],
            SequenceChoice(0),
        ),
        ("a single sequence serves every prompt", [SlotFit(900, 200, 9)], SequenceChoice(0)),
    ],
)
def test_a_prompt_reuses_as_much_as_possible(why: str, fits: list[SlotFit], choice: SequenceChoice):
    assert choose_sequence(fits) == choice, why


@pytest.mark.parametrize(
    ("why", "fits", "choice"),
    [
        ("the user's own is copied", [SlotFit(900, 800, 9), FREE], SequenceChoice(1, source=0)),
        (
            "even for the same location",
            [SlotFit(900, 800, 9, same_location=True), FREE],
            SequenceChoice(1, source=0),
        ),
        ("a mere continuation costs it nothing", [SlotFit(900, 900, 9), FREE], SequenceChoice(0)),
        (
            "a shadow is brought up to date where it is",
            [SlotFit(900, 800, 9), SlotFit(700, 500, 8, same_location=True), FREE],
            SequenceChoice(2, source=0),
        ),
        (
            "if that saves anything",
            [SlotFit(900, 500, 9), SlotFit(700, 500, 8, same_location=True), FREE],
            SequenceChoice(1),
        ),
        (
            "another location is not cut short",
            [SlotFit(900, 0, 9), SlotFit(700, 500, 8), FREE],
            SequenceChoice(2, source=1),
        ),
        ("the user's own is never overwritten", [SlotFit(900, 800, 1)], None),
        ("not even where it is the oldest", [SlotFit(900, 0, 1), SlotFit(900, 0, 2)], SequenceChoice(1)),
    ],
)
def test_background_work_costs_the_user_nothing(why: str, fits: list[SlotFit], choice: SequenceChoice | None):
    assert choose_sequence(fits, spare=0) == choice, why


_fits = st.builds(
    lambda held, kept, used, same: SlotFit(held, min(held, kept), used, same),
    st.integers(0, 1000),
    st.integers(0, 1000),
    st.integers(0, 20),
    st.booleans(),
)


@given(st.lists(_fits, min_size=1, max_size=5), st.booleans())
def test_a_choice_never_reuses_less_than_a_copy_is_worth(fits: list[SlotFit], background: bool):
    choice = choose_sequence(fits, spare=0 if background else None)
    if choice is None:
        assert len(fits) <= 2
        return
    most = max(fit.kept for fit in fits)
    assert most - fits[choice.reused].kept < 32
    assert choice.source != choice.sequence
    if background and choice.sequence == 0:
        assert fits[0].held - fits[0].kept <= 1
