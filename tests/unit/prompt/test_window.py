from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from merging_tokenizer import MergingTokenizer

from fim_lsp.prompt.window import (
    fit_lines,
    fit_prefix,
    fit_suffix,
    prefix_start,
    suffix_budget,
    suffix_end,
    visible,
)

_LINES = "".join(f"line_{number} = {number}\n" for number in range(500))
_texts = st.text(st.sampled_from("ab \n\r(é🙂\ud800\0"), max_size=400)


def test_the_model_sees_lf_and_no_lone_surrogates() -> None:
    assert visible("a\r\nb\rc\ud800\udc00\0") == "a\nb\rc\ufffd\ufffd\0"


def test_a_short_document_is_seen_whole() -> None:
    assert prefix_start("abc\ndef", 7, 100) == 0
    assert suffix_end("abc\ndef", 2, 100) == 7


def test_windows_are_cut_at_line_starts() -> None:
    start, end = prefix_start(_LINES, 4000, 1000), suffix_end(_LINES, 4001, 1000)
    assert _LINES[start - 1] == "\n"
    assert _LINES[end - 1] == "\n"
    assert 700 <= 4000 - start <= 1000
    assert 700 <= end - 4001 <= 1000


def test_a_line_longer_than_the_window_is_cut_at_a_code_point() -> None:
    text = "🙂" * 100_000
    assert 500 <= 90_000 - prefix_start(text, 90_000, 1000) <= 1000
    assert suffix_end(text, 10, 1000) == 1010


def test_the_start_stays_put_while_typing() -> None:
    starts = [prefix_start(_LINES, end, 1000) for end in range(2000, 4000)]
    assert len(set(starts)) <= 2000 // 250 + 1
    assert starts == sorted(starts)


def test_a_window_too_dense_for_its_tokens_starts_where_the_next_one_will() -> None:
    tokenizer = MergingTokenizer()
    windows = {fit_prefix(_LINES, end, 1000, 900, tokenizer.encode).text[:16] for end in range(2000, 3000)}
    assert len(windows) <= 5


def test_very_dense_text_still_fits() -> None:
    tokenizer = MergingTokenizer()
    text = "🙂" * 5000
    prefix = fit_prefix(text, 5000, 320, 100, tokenizer.encode)
    suffix = fit_suffix(text, 320, 100, tokenizer.encode)
    assert 10 <= len(prefix.text) <= 25
    assert 10 <= len(suffix.text) <= 25


@given(_texts, st.integers(0, 400), st.integers(0, 200), st.integers(0, 100))
def test_windows_are_the_nearest_text_and_within_budget(text: str, end: int, chars: int, tokens: int) -> None:
    end = min(end, len(text))
    tokenizer = MergingTokenizer()
    prefix = fit_prefix(text, end, chars, tokens, tokenizer.encode)
    suffix = fit_suffix(text[end:], chars, tokens, tokenizer.encode)
    for window in (prefix, suffix):
        assert len(window.ids) <= tokens
        assert len(window.text) <= chars
        assert window.ids == tokenizer.encode(window.text)
    assert visible(text[:end]).endswith(prefix.text)
    # A cut between CR and LF leaves the CR alone.
    assert visible(text[end:]).startswith(suffix.text.removesuffix("\r"))


@given(st.integers(1, 4000), st.floats(0.1, 1), st.integers(0, 100_000))
def test_the_suffix_gets_its_share_and_what_the_prefix_leaves(tokens: int, share: float, chars: int) -> None:
    own = tokens - round(tokens * share)
    assert own <= suffix_budget(tokens, share, chars) <= tokens
    assert suffix_budget(tokens, share, 10 * tokens) == own
    # Text will be typed at the top of a document, too.
    assert suffix_budget(tokens, share, 0) == tokens - min(tokens // 4, round(tokens * share))


@given(st.lists(st.sampled_from(["a", "\r", "\n", "\ud800"]), max_size=8).map("".join))
def test_text_as_the_model_sees_it_is_seen_so_again(text: str) -> None:
    assert visible(visible(text)) == visible(text)


def _bytes(text: str) -> tuple[int, ...]:
    return tuple(text.encode())


def test_whole_lines_fill_their_budget() -> None:
    window = fit_lines(_LINES, 4000, 100, _bytes)
    assert _LINES[:4000].endswith(window.text)
    assert _LINES[4000 - len(window.text) - 1] == "\n"
    assert 100 - len("line_200 = 200\n") < len(window.ids) <= 100
    assert fit_lines("abc\ndef", 7, 100, _bytes).text == "abc\ndef"


def test_a_part_of_a_line_is_taken_where_no_line_fits() -> None:
    assert 25 <= len(fit_lines("x" * 1000, 1000, 100, _bytes).text) <= 100
    assert fit_lines("abc", 0, 100, _bytes).text == ""
    assert fit_lines("abc", 3, 0, _bytes).text == ""


@given(text=_texts, tokens=st.integers(0, 60))
def test_lines_never_exceed_their_budget(text: str, tokens: int) -> None:
    window = fit_lines(text, len(text), tokens, _bytes)
    assert len(window.ids) <= tokens
    assert visible(text).endswith(window.text)
