"""One setting for all parts, and each part by itself."""

from __future__ import annotations

import pytest

from fim_lsp.completion.showing.eagerness import rules_for
from fim_lsp.settings import from_wire


def rules(**completion: object):
    return rules_for(from_wire({"completion": completion}).completion)


def test_normal_is_the_default():
    assert rules() == rules(eagerness="normal")


def test_the_more_eager_the_more_is_shown():
    subtle, normal, eager = (rules(eagerness=name) for name in ("subtle", "normal", "eager"))
    assert subtle.cooldown_ms > normal.cooldown_ms > eager.cooldown_ms == 0
    assert subtle.appear_after_ms > normal.appear_after_ms > eager.appear_after_ms == 0
    assert subtle.piece_lines < normal.piece_lines < eager.piece_lines
    assert (subtle.comments, normal.comments, eager.comments) == ("never", "confident", "always")


@pytest.mark.parametrize(
    ("setting", "attribute", "value"),
    [
        ("withinWords", "within_words", "always"),
        ("withinLines", "within_lines", "always"),
        ("comments", "comments", "never"),
        ("strings", "strings", "never"),
        ("newLines", "new_lines", "confident"),
        ("whileDeleting", "while_deleting", True),
        ("cooldownMs", "cooldown_ms", 0),
        ("appearAfterMs", "appear_after_ms", 0),
        ("oneLineFirst", "one_line_first", False),
        ("pieceLines", "piece_lines", 9),
    ],
)
def test_each_part_can_be_set_by_itself(setting, attribute, value):
    assert getattr(rules(**{setting: value}), attribute) == value
    assert getattr(rules(), attribute) != value
