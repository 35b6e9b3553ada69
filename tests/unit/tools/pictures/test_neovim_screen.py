"""Redraw events to a picture."""

from __future__ import annotations

from tools.pictures.drawing import Box, Word
from tools.pictures.neovim_screen import Cells, Screen

CELLS = Cells(width=10, height=20, size=14, baseline=15, margin=5)


def screen(*lines: list) -> Screen:
    made = Screen()
    made.redraw("grid_resize", [1, 8, 2])
    made.redraw("default_colors_set", [0xE0E2EA, 0x14161B, 0, 0, 0])
    made.redraw("hl_attr_define", [7, {"foreground": 0x767676, "italic": True}, {}, []])
    made.redraw("hl_attr_define", [8, {"reverse": True}, {}, []])
    made.redraw("mode_info_set", [True, [{"cursor_shape": "vertical", "cell_percentage": 20}]])
    for row, cells in enumerate(lines):
        made.redraw("grid_line", [1, row, 0, cells, False])
    return made


def words(made: Screen) -> list[Word]:
    return [item for item in made.items(CELLS) if isinstance(item, Word)]


def test_words_stand_in_their_cells_with_their_colours():
    found = words(screen([["f"], ["o"], ["r"], [" "], ["i", 7], ["n"]]))
    assert [(item.text, item.x, item.baseline, item.width) for item in found] == [
        ("for", 5, 20, 30),
        ("in", 45, 20, 20),
    ]
    assert [(item.fill, item.italic) for item in found] == [("#e0e2ea", False), ("#767676", True)]


def test_a_repeated_cell_is_repeated_and_a_reversed_one_has_a_box():
    made = screen([["x", 8, 3]])
    assert [item.text for item in words(made)] == ["xxx"]
    assert words(made)[0].fill == "#14161b"
    assert Box(5, 5, 30, 20, "#e0e2ea") in made.items(CELLS)


def test_a_wide_letter_takes_both_its_cells():
    (found,) = words(screen([["日", 0], [""]]))
    # The second cell of a wide letter is empty; the letter keeps the place of the first.
    assert (found.text, found.x) == ("日", 5)


def test_scrolling_moves_rows_and_leaves_the_others():
    made = screen([["a"]], [["b"]])
    made.redraw("grid_scroll", [1, 0, 2, 0, 8, 1, 0])
    made.redraw("grid_line", [1, 1, 0, [["c"]], False])
    assert [(item.text, item.baseline) for item in words(made)] == [("b", 20), ("c", 40)]


def test_the_cursor_of_insert_mode_is_a_bar():
    made = screen([["a"]])
    made.redraw("grid_cursor_goto", [1, 0, 1])
    assert Box(15, 5, 2, 20, "#e0e2ea") in made.items(CELLS)
    assert made.items(CELLS)[0] == Box(0, 0, 90, 50, "#14161b")
