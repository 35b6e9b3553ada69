"""Frames to drawings: what a viewer would see at each moment."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest

from tools.pictures.drawing import Box, Icon, Item, ScreenFrame, Word, paced
from tools.pictures.scene import AcceptedSuggestion, NotShownError, Recording
from tools.pictures.svg import Canvas, moving, still

SVG = "{http://www.w3.org/2000/svg}"
CANVAS = Canvas(100, 50, "A & B")
GROUND = Box(0, 0, 100, 50, "#000000")


def word(text: str, x: float = 0) -> Word:
    return Word(x, 12, 8.4 * len(text), text, 14, "#ffffff")


def frames(*screens: tuple[float, list[Item]]) -> list[ScreenFrame]:
    return [ScreenFrame(at_s, (GROUND, *items)) for at_s, items in screens]


def visible_at(drawing: str, percent: float) -> list[str]:
    """Provide the words that a browser shows at a moment: read from the style sheet, as a browser does."""
    hidden = set()
    for name, body in re.findall(r"@keyframes a(\d+)\{((?:[\d.]+%\{opacity:\d\})+)\}", drawing):
        steps = [(float(at), int(on)) for at, on in re.findall(r"([\d.]+)%\{opacity:(\d)\}", body)]
        if not [on for at, on in steps if at <= percent][-1]:
            hidden.add(f"g{name}")
    root = ElementTree.fromstring(drawing)
    plain = [text.text for text in root.findall(f"{SVG}text")]
    groups = [group for group in root.findall(f"{SVG}g") if group.get("class") not in hidden]
    return plain + [text.text for group in groups for text in group.findall(f"{SVG}text")]


def test_a_still_picture_holds_every_item_where_it_was():
    items = (GROUND, word("<tag>", 10), Icon(30, 20, 0.01, "M0 0L10 10Z", "red"))
    root = ElementTree.fromstring(still(CANVAS, ScreenFrame(0, items)))
    assert root.find(f"{SVG}title").text == "A & B"
    text = root.find(f"{SVG}text")
    assert (text.text, text.get("x"), text.get("y"), text.get("textLength")) == ("<tag>", "10", "12", "42")
    assert root.find(f"{SVG}path").get("transform") == "translate(30 20) scale(0.01000 -0.01000)"


def test_a_recording_shows_at_each_moment_what_was_on_the_screen():
    drawing = moving(
        CANVAS,
        frames((0, [word("def")]), (1, [word("def"), word("ghost")]), (3, [word("def"), word("taken")])),
        last_s=1,
        resting=1,
    )
    assert sorted(visible_at(drawing, 10)) == ["def"]
    assert sorted(visible_at(drawing, 30)) == ["def", "ghost"]
    assert sorted(visible_at(drawing, 80)) == ["def", "taken"]


def test_what_comes_back_is_drawn_once():
    ghost = word("ghost")
    drawing = moving(CANVAS, frames((0, [ghost]), (1, []), (2, [ghost])), last_s=1, resting=0)
    assert drawing.count(">ghost<") == 1
    assert [visible_at(drawing, percent) for percent in (10, 50, 90)] == [["ghost"], [], ["ghost"]]


def test_where_nothing_may_move_the_chosen_screen_is_shown():
    drawing = moving(CANVAS, frames((0, [word("before")]), (1, [word("ghost")])), last_s=1, resting=1)
    states = re.findall(r"\.g(\d)\{opacity:(\d)", drawing)
    root = ElementTree.fromstring(drawing)
    shown = {group.get("class"): group[0].text for group in root.findall(f"{SVG}g") if group[0].text}
    assert {shown[f"g{number}"]: int(on) for number, on in states} == {"before": 0, "ghost": 1}


def test_no_box_of_a_moment_hides_a_word_of_all_of_them():
    line = Box(0, 0, 100, 20, "#333333")
    drawing = moving(CANVAS, frames((0, [word("def")]), (1, [line, word("def")])), last_s=1, resting=0)
    assert drawing.index("#333333") < drawing.index(">def<")


def test_waits_are_cut_and_short_screens_left_out():
    recorded = frames(
        (10.0, [word("a")]),
        (10.5, [word("b")]),
        (10.51, [word("c")]),
        (20.0, [word("c")]),
        (21.0, [word("d")]),
    )
    result = paced(recorded, longest_s=1.5, shortest_s=0.03)
    assert [(frame.at_s, frame.words) for frame in result] == [
        (0, "a"),
        (pytest.approx(0.51), "c"),
        (pytest.approx(2.01), "d"),
    ]


def test_ghost_text_that_is_not_on_the_screen_is_refused():
    screens = frames((0, [word("for")]), (1, [word("for"), word("item"), word("in")]))
    Recording(screens, [AcceptedSuggestion("item in", 2)], "an editor").check()
    with pytest.raises(NotShownError):
        Recording(screens, [AcceptedSuggestion("item in", 0.5)], "an editor").check()
