from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fim_lsp.engine.vocabulary import Vocabulary

PIECES = (b"", b"r", b"re", b"return", b" return", b"\n   ", b"\n    ", b"\n        ", b"\xff\xff", b"\xff")


def _spelling(start: bytes) -> set[bytes]:
    return {PIECES[token] for token in Vocabulary(PIECES).beginning_with(start)}


def test_longer_and_shorter_tokens_that_begin_alike():
    assert _spelling(b"re") == {b"r", b"re", b"return"}


def test_spaces_may_be_split_before_the_word():
    assert _spelling(b"\n    ") == {b"\n   ", b"\n    ", b"\n        "}


def test_a_byte_of_ff_has_no_successor():
    assert _spelling(b"\xff") == {b"\xff", b"\xff\xff"}


@given(st.lists(st.binary(max_size=4), max_size=30), st.binary(min_size=1, max_size=4))
def test_agrees_with_the_definition(pieces: list[bytes], start: bytes):
    found = Vocabulary(pieces).beginning_with(start).tolist()
    expected = [i for i, p in enumerate(pieces) if p and (p.startswith(start) or start.startswith(p))]
    # Of several ids with the same bytes shorter than the start, any one will do.
    assert {pieces[i] for i in found} == {pieces[i] for i in expected}
