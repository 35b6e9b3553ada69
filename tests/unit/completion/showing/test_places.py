"""The kinds of places that the rules distinguish."""

from __future__ import annotations

import pytest

from fim_lsp.code.cursor import CursorContext
from fim_lsp.completion.showing.places import Place, find_place, may_end_line
from tests.unit.completion.conftest import request


@pytest.mark.parametrize(
    ("marked", "language", "place"),
    [
        ("x = fo█o\n", "python", Place.WORD),
        ("x = foo█\n", "python", Place.CODE),
        ("x = █foo\n", "python", Place.LINE),
        ("f(█, b)\n", "python", Place.LINE),
        ("f(█)\n", "python", Place.CODE),
        ("f(█):\n    pass\n", "python", Place.CODE),
        ("x = 1  # the fir█\n", "python", Place.COMMENT),
        ("x = 1  # the █ value\n", "python", Place.COMMENT),
        ('x = "the fir█"\n', "python", Place.STRING),
        ('def f():\n    """Return █\n    """\n', "python", Place.STRING),
        ('x = f"{val█}"\n', "python", Place.CODE),
        ("// the fir█\nlet x = 1;\n", "javascript", Place.COMMENT),
        ('{"name": "val█"}\n', "json", Place.CODE),
        ("<p>█</p>\n", "html", Place.CODE),
        ('<a href="█">b</a>\n', "html", Place.LINE),
        ("It's the fir█\n", "markdown", Place.CODE),
        ("█", "python", Place.CODE),
    ],
)
def test_the_kind_of_a_place(marked, language, place):
    assert find_place(CursorContext.of(request(marked, language=language))) is place


@pytest.mark.parametrize(
    ("marked", "language", "expected"),
    [
        ("x = 1█\n", "python", True),
        ("    return total█\n", "python", True),
        ("def f(\n    a,█\n):\n", "python", False),
        ("    █\n", "python", False),
        ("x = (1,█\n", "python", False),
        ("x = f(█)\n", "python", False),
        ("if x:█\n", "python", False),
        ("run();█\n", "typescript", True),
        ("const f = () => {█\n", "typescript", False),
        ("const a = `first█\n", "typescript", False),
        ("<li>first</li>█\n", "html", True),
        ("<ul>█\n", "html", False),
        ("- first█\n", "markdown", True),
        ("  name: fim█\n", "yaml", True),
        ("jobs:█\n", "yaml", False),
    ],
)
def test_a_line_that_may_end_line(marked, language, expected):
    assert may_end_line(CursorContext.of(request(marked, language=language))) is expected
