"""A text is cut at line ends alone, and leaves nothing open."""

from __future__ import annotations

import pytest

from fim_lsp.code.cursor import CursorContext
from fim_lsp.completion.showing import cuts
from fim_lsp.completion.showing.cuts import cut_to_parsing_lines, cut_to_parsing_part, cut_to_piece
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
        ("def f(█\n    return 1\n", "a):\n    b(\n        1,", "a):\n    b(\n        1,"),
        ("def f(█\n    return 1\n", "a):\n    # one\n    b(\n        1,", "a):\n    # one"),
    ],
    ids=[
        "parses",
        "last line",
        "last of three",
        "the first stays",
        "one line",
        "brackets",
        "no cut",
        "no line ends where nothing is open",
        "left open, but mends what is there",
    ],
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


METHOD = "class A {\n  on(█): void {\n    this.on = 1\n  }\n}\n"
CALL = "f(\n    █\n        name=1,\n    )\n)\n"


@pytest.mark.parametrize(
    ("marked", "language", "text", "kept"),
    [
        (BODY, "python", "return a", "return a"),
        (METHOD, "typescript", "event, callback) {", "event, callback)"),
        (
            "for name in names:\n    if type(█) is int:\n        pass\n",
            "python",
            "name) == str:",
            "name) == str",
        ),
        ("from █\n\nx = 1\n", "python", "typing import Any:", "typing import Any"),
        (CALL, "python", "g(1, 2)", "g("),
        ("x = 1\n█\n", "python", "a b", "a"),
        ("█\nx = 1\n", "python", ") = 1", ""),
        (BODY, "python", "if a:", "if a:"),
        (BODY, "python", "def g(", "def g("),
        (BODY, "python", "return [", "return ["),
        (BODY, "python", "'''", "'''"),
        ("function f() {\n  █\n}\n", "javascript", "for (const a of b) {", "for (const a of b) {"),
        ("function f() {\n  █\n}\n", "javascript", "return (", "return ("),
        ("x = = 2\ny = █\n", "python", "1", "1"),
        ("x = 1\n█\n", "cobol", ")))", ")))"),
    ],
    ids=[
        "parses",
        "in front of a rest of the line",
        "a header on top of a header",
        "a mark too many",
        "arguments stand below",
        "a word too many",
        "nothing parses",
        "a block is to come",
        "a definition is begun",
        "a list is begun",
        "a string is begun",
        "a brace is begun",
        "a parenthesis is begun",
        "an error elsewhere",
        "no grammar",
    ],
)
def test_a_line_that_does_not_parse_is_cut_back(marked, language, text, kept):
    assert cut_to_parsing_part(text, context(marked, language)) == kept


@pytest.mark.parametrize("text", ["event) {", "a b c d e f g h i j k l m n o p = = 3", "(" * 30])
def test_few_parts_of_a_line_are_parsed(text, monkeypatch):
    calls = []
    monkeypatch.setattr(cuts, "count_syntax_errors", lambda *given: calls.append(given) or 1 + len(given[1]))
    cut_to_parsing_part(text, context(METHOD, "typescript"))
    assert len(calls) <= 12
