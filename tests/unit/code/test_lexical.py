"""Comments at the ends of lines."""

from __future__ import annotations

import pytest

from fim_lsp.code.lexical import without_comment


@pytest.mark.parametrize(
    ("line", "language", "code"),
    [
        ("for a in b:  # all", "python", "for a in b:"),
        ('x = "# no comment"', "python", 'x = "# no comment"'),
        ('x = "#"  # one', "python", 'x = "#"'),
        ("run(); // twice", "javascript", "run();"),
        ("run(/* once */);", "javascript", "run(/* once */);"),
        ("run(); /* and", "javascript", "run();"),
        ("x = 'open", "python", "x = 'open"),
        ("plain", "plaintext", "plain"),
    ],
)
def test_a_comment_is_cut_off(line, language, code):
    assert without_comment(line, language) == code
