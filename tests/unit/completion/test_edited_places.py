"""Where the user stopped typing in a document, and what later edits make of it."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fim_lsp.completion.edited_places import TextChange, move_unfinished


def _follow(*texts: str) -> str:
    """Mark the places that are unfinished after edits from each text to the next."""
    places: tuple[int, ...] = ()
    for before, after in pairwise(texts):
        places = move_unfinished(places, TextChange.between(before, after), before, after)
    text = texts[-1]
    for place in sorted(places, reverse=True):
        text = text[:place] + "|" + text[place:]
    return text


@pytest.mark.parametrize(
    ("texts", "marked"),
    [
        (["", "f", "fo"], "fo|"),
        # Several cursors.
        (["a\n\na\n", "ab\n\nab\n", "abc\n\nabc\n"], "abc|\n\nabc|\n"),
        (["x ()\ny\nx ()\n", "x (1)\ny\nx (1)\n"], "x (1|)\ny\nx (1|)\n"),
        # Enter ends a line, the cursor keys do not.
        (["\n\n", "f\n\n", "f\n\n\n", "f\ng\n\n"], "f\ng|\n\n"),
        (["\n\n", "f\n\n", "f\n\ng"], "f|\n\ng|"),
        # Text behind the place is there already.
        (["old = 1\n", "new = 1\n"], "new = 1\n"),
        # An edit in several lines has one end.
        (["\n", "a = 1\nb = 2\n"], "a = 1\nb = 2|\n"),
        # Edits elsewhere move a place, its removal removes it.
        (["x\n\n", "x\n\nf", "wx\n\nf", "\nwx\n\nf"], "\nwx\n\nf|"),
        (["x\n", "x\nf", "x\n"], "x\n"),
    ],
)
def test_places_where_the_user_stopped_typing(texts, marked):
    assert _follow(*texts) == marked


@given(st.lists(st.text("a(\n)", max_size=30), min_size=2, max_size=8))
def test_an_unfinished_place_is_at_the_end_of_a_line_and_there_are_few(texts):
    places: tuple[int, ...] = ()
    for before, after in pairwise(texts):
        places = move_unfinished(places, TextChange.between(before, after), before, after)
        assert len(places) <= 8
        assert all(0 <= place <= len(after) for place in places)
    for place in places[:1]:
        assert re.match(r"\)*(\n|$)", texts[-1][place:])
