from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fim_lsp.engine.drafts import Ngrams

_tokens = st.lists(st.integers(0, 3), max_size=40)


def latest_match(tokens: list[int], last: list[int], lengths: tuple[int, ...], count: int) -> tuple[int, ...]:
    """The same, by looking at every place."""
    for length in lengths:
        for at in range(len(tokens) - 1, length - 1, -1):
            if len(last) >= length and tokens[at - length : at] == last[-length:]:
                return tuple(tokens[at : at + count])
    return ()


@given(tokens=_tokens, last=_tokens, count=st.integers(0, 5), cut=st.integers(0, 40))
def test_what_follows_is_what_followed_the_latest_and_longest_run(tokens, last, count, cut):
    ngrams = Ngrams((3, 2))
    ngrams.extend(tokens[:cut])
    ngrams.extend(tokens[cut:])
    assert ngrams.following(last, count) == latest_match(tokens, last, (3, 2), count)


@given(tokens=_tokens)
def test_a_text_does_not_follow_itself(tokens):
    ngrams = Ngrams((2,))
    ngrams.extend(tokens)
    drafted = ngrams.following(tokens, 3)
    before = any(tokens[at : at + 2] == tokens[-2:] for at in range(len(tokens) - 2))
    assert bool(drafted) == before


def test_a_repeated_line_is_drafted():
    ngrams = Ngrams((4, 3))
    ngrams.extend([1, 2, 3, 4, 5, 6, 9, 2, 3, 4])
    assert ngrams.following([9, 2, 3, 4], 3) == (5, 6, 9)
    assert ngrams.following([7, 7, 7], 3) == ()
