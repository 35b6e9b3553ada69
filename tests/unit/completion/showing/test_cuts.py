"""A text is cut at line ends alone, and leaves nothing open."""

from __future__ import annotations

import pytest

from fim_lsp.code.cursor import CursorContext
from fim_lsp.completion.showing.cuts import cut_to_parsing_lines, cut_to_piece
from tests.unit.completion.conftest import request

BODY = "def f(a):\n    █\n\n\nprint(f(1))\n"


def context(marked: str, language: str = "python") -> CursorContext:
    return CursorContext.of(request(marked, language=language))


@pytest.mark.parametrize(
    ("marked", "text", "kept"),
    [
        (BODY, "x = 1\n    return x", "x = 1\n    return x"),
        (BODY, "x = 1\n    return )", "x = 1"),
        (BODY, "x = 1\n    y = 2\n    z = = 3", "x = 1\n    y = 2"),
        (BODY, "x = = 1\n    return x", "x = = 1"),
        (BODY, "x = (1,", "x = (1,"),
        (BODY, "x = [\n        1,\n    ]\n    return x )", "x = [\n        1,\n    ]"),
        ("x = █)\n", "(1\n+ 2", "(1\n+ 2"),
    ],
    ids=["parses", "last line", "last of three", "the first stays", "one line", "brackets", "no cut"],
)
def test_what_does_not_parse_is_cut_back(marked, text, kept):
    assert cut_to_parsing_lines(text, context(marked)) == kept


def test_a_language_without_a_grammar_is_left_alone():
    assert cut_to_parsing_lines("a\n)))", context("█\n", "cobol")) == "a\n)))"


@pytest.mark.parametrize(
    ("text", "lines", "kept"),
    [
        ("a = 1\n    b = 2\n    c = 3\n    d = 4", 2, "a = 1\n    b = 2"),
        ("a = 1\n    b = 2\n    c = 3", 2, "a = 1\n    b = 2\n    c = 3"),
        ("a = 1\n\n    b = 2\n\n    c = 3\n    d = 4", 2, "a = 1\n\n    b = 2"),
        ("if a:\n        b()\n        c()\n    d()", 1, "if a:\n        b()\n        c()\n    d()"),
        ("a = 1\n    if a:\n        b()\n    c()", 2, "a = 1"),
        ("a = [\n        1,\n        2,\n    ]\n    b()", 2, "a = [\n        1,\n        2,\n    ]\n    b()"),
    ],
    ids=["two", "hardly more", "blank lines", "below a header", "before a header", "in brackets"],
)
def test_a_long_text_is_cut_to_a_piece(text, lines, kept):
    assert cut_to_piece(text, context(BODY), lines) == kept
