from __future__ import annotations

import pytest

from fim_lsp.feedback.persistence import MOSTLY, kept_fraction

ACCEPTED = "total = sum(item.price for item in items)\n    return total"
AROUND = "def price(items):\n    {}\n\n\ndef other(things):\n    return things[0]\n"


def _kept(now: str, *, above: str = "") -> float:
    return kept_fraction(ACCEPTED, above + AROUND.format(now), AROUND.index("{"))


def test_an_untouched_text_is_kept():
    assert _kept(ACCEPTED) == 1


def test_lines_above_and_another_indentation_lose_nothing():
    assert _kept(ACCEPTED, above="import os\n" * 50) == 1
    assert _kept(ACCEPTED.replace("    ", "\t")) == 1


def test_a_renamed_variable_loses_its_words():
    part = _kept(ACCEPTED.replace("total", "amount"))
    assert part == pytest.approx(1 - 10 / sum(map(len, ACCEPTED.split())))
    assert part >= MOSTLY


def test_half_a_text_is_half_there():
    assert 0.5 < _kept("total = sum(item.price for item in") < 0.85
    assert _kept("total = sum(x)") < MOSTLY


def test_deleted_is_gone_though_some_of_its_words_stand_elsewhere():
    assert _kept("pass") < MOSTLY
    assert kept_fraction("frobnicate(x)", "a = 1\n", 0) == 0


def test_the_same_text_far_away_does_not_count():
    assert kept_fraction("frobnicate(x)", "a = 1\n" * 2000 + "frobnicate(x)", 0) == 0


@pytest.mark.parametrize("blank", ["", "\n    "])
def test_blanks_have_nothing_to_lose(blank):
    assert kept_fraction(blank, "", 0) == 1
