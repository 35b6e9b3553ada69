"""The pieces of a text that is unfinished in places."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fim_lsp.engine.memory import cut_unfinished


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a = 1\nb\n", [("a = 1\nb\n", 0)]),
        ("a = to|\nb = 1\n", [("a =", 0), ("\nb = 1\n", 0)]),
        ("total +|\n\ntotal +|\nx", [("total", 0), ("\n\ntotal", 0), ("\nx", 2)]),
        ("x\n    |\ny", [("x\n", 0), ("\ny", 1)]),
        ("f('Wed|')\n", [("f('", 0), ("')\n", 0)]),
        ("|a\n|", [("a\n", 0)]),
    ],
)
def test_the_last_word_before_an_unfinished_place_is_in_no_piece(text, pieces):
    parts = text.split("|")
    places = [len("".join(parts[:count])) for count in range(1, len(parts))]
    assert list(cut_unfinished("".join(parts), places)) == pieces


@given(st.text("ab +\n", max_size=40), st.sets(st.integers(-5, 50), max_size=5))
def test_each_piece_stands_in_the_text_at_its_line(text, places):
    end = 0
    for piece, line in cut_unfinished(text, places):
        starts = [at for at in range(end, len(text) + 1) if text.startswith(piece, at)]
        assert any(text.count("\n", 0, start) == line for start in starts)
        end = min(starts) + len(piece)
    assert text.endswith(piece)
