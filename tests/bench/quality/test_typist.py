"""The simulated typist: what counts as right, and what it saves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from benchmarks.quality.typist import ShownText, Typing, right_part, type_text


@pytest.mark.parametrize(
    ("shown", "rest", "suffix", "right"),
    [
        (ShownText("items)"), "items)", "\n", 6),
        (ShownText("items"), "items)", "\n", 5),
        (ShownText("items, 2)"), "items)", "\n", 0),
        (ShownText("items)", replaced=1), "items", ")\n", 5),
        (ShownText("items]", replaced=1), "items", ")\n", 0),
        (ShownText("a = 1\nb = 3"), "a = 1\nb = 2", "\n", 5),
        (ShownText("a = 1\nb = 3"), "a = 12\nb = 2", "\n", 0),
        (ShownText("  "), "  x", "\n", 0),
        (ShownText(""), "x", "\n", 0),
    ],
    ids=[
        "all",
        "a beginning",
        "more",
        "closer again",
        "other closer",
        "first line",
        "half a line",
        "blank",
        "none",
    ],
)
def test_right_part(shown: ShownText, rest: str, suffix: str, right: int) -> None:
    assert right_part(shown, rest, suffix) == right


def typed(middle: str, shows: Mapping[str, str], most: int = 60) -> tuple[Typing, list[str]]:
    """Type a middle with suggestions by what is written; return the figures and where was looked."""
    looked: list[str] = []

    async def look(written: str) -> ShownText:
        looked.append(written)
        return ShownText(shows.get(written, ""))

    return asyncio.run(type_text(middle, "\n", look, most)), looked


def test_an_accepted_suggestion_saves_its_characters_but_the_key_that_accepts() -> None:
    result, looked = typed("return x", {"re": "turn x"})
    assert result == Typing(characters=8, saved=5, wrong=0)
    assert looked == ["", "r", "re"]


def test_a_wrong_suggestion_counts_once_while_its_beginning_is_typed() -> None:
    result, _ = typed("abcd", {"": "abX", "a": "bX", "ab": "X"})
    assert result == Typing(characters=4, saved=0, wrong=1)


def test_each_new_wrong_suggestion_counts() -> None:
    result, _ = typed("abcd", {"": "q", "a": "w", "ab": "e"})
    assert result.wrong == 3


def test_a_long_hole_is_typed_in_part() -> None:
    result, looked = typed("x" * 100, {}, most=10)
    assert (result.characters, len(looked)) == (10, 10)
