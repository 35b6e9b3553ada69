from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from fim_lsp.lsp.line_index import LineIndex

texts = st.lists(st.sampled_from(["a", "é", "\n", "\r\n", "\r", "\f", "\u2028", "x = 1"]), max_size=12).map(
    "".join
)


@given(texts, texts, st.integers(0, 40), st.integers(0, 40))
def test_an_index_after_an_edit_is_that_of_the_new_text(text: str, inserted: str, first: int, second: int):
    start, end = sorted((min(first, len(text)), min(second, len(text))))
    edited = text[:start] + inserted + text[end:]
    index = LineIndex.of(text).after_edit(text, start, end, inserted)
    assert list(index.starts) == list(LineIndex.of(edited).starts)


def test_lines_end_as_in_the_protocol():
    text = "a\fb\r\nc\rd\ne"
    index = LineIndex.of(text)
    assert [index.start(line, text) for line in range(6)] == [0, 5, 7, 9, len(text), len(text)]


@given(st.text("ab\r\n", max_size=30), st.integers(0, 9))
def test_the_end_of_a_line_is_in_front_of_its_break(text: str, line: int) -> None:
    lines = re.split("\r\n|\n|\r", text)
    index = LineIndex.of(text)
    expected = index.start(line, text) + len(lines[line]) if line < len(lines) else len(text)
    assert index.end(line, text) == expected
