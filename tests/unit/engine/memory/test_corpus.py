"""The index of token pairs, and the chunks that text is tokenised in."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fim_lsp.engine.memory.chunks import ChunkEncoder, split
from fim_lsp.engine.memory.corpus import TokenCorpus, TokenizedFile

TOKENS = st.lists(st.integers(0, 5), max_size=20)


def _file(tokens: list[int], path: str = "a.py") -> TokenizedFile:
    return TokenizedFile(path, np.array(tokens, np.int32))


@settings(deadline=None)
@given(st.lists(TOKENS, max_size=4))
def test_each_pair_is_found_where_it_stands_and_never_across_files(files):
    corpus = TokenCorpus.build([_file(tokens, str(index)) for index, tokens in enumerate(files)])
    for first in range(6):
        for second in range(6):
            expected = [
                (str(index), tokens[at])
                for index, tokens in enumerate(files)
                for at in range(2, len(tokens))
                if (tokens[at - 2], tokens[at - 1]) == (first, second)
            ]
            found = corpus.find_pair(first, second)
            voters = zip(corpus.positions[found], corpus.following[found], strict=True)
            assert [(corpus.file_at(position).path, token) for position, token in voters] == expected


def test_files_that_do_not_fit_are_left_out_and_smaller_ones_still_come_in():
    files = [_file([1] * 30, "near"), _file([2] * 60, "large"), _file([3] * 10, "small")]
    corpus = TokenCorpus.build(files, max_tokens=80)
    assert [file.path for file in corpus.files] == ["near", "small"]
    assert corpus.token_count == 40


@pytest.mark.parametrize("highest", [300, 65_534, 65_535, 200_000])
def test_vocabularies_of_any_size(highest):
    corpus = TokenCorpus.build([_file([highest, 7, highest, 7, highest])])
    assert corpus.following[corpus.find_pair(highest, 7)].tolist() == [highest, highest]


def test_a_position_names_its_file_and_line():
    breaks = np.array([0, 1, 2])
    corpus = TokenCorpus.build([_file([0, 1, 0], "a"), _file([0, 2, 0, 1, 0], "b")])
    start = corpus.files[1].start
    assert corpus.file_at(start).path == "b"
    assert [corpus.line_at(start + at, breaks) for at in range(5)] == [0, 2, 2, 3, 3]


def test_an_id_that_no_vocabulary_has_is_refused():
    with pytest.raises(ValueError, match="token id"):
        TokenCorpus.build([_file([1 << 20, 1, 1])])


@settings(deadline=None)
@given(st.text("ab \n\t", max_size=3000))
def test_chunks_spell_the_text(text):
    assert "".join(split(text)) == text


def test_typing_changes_the_chunk_at_the_cursor_alone():
    code = "".join(f"def f{n}(a, b):\n    total = a + b * {n}\n    return total\n\n\n" for n in range(200))
    encoded: list[str] = []

    def encode(text: str) -> list[int]:
        encoded.append(text)
        return list(text.encode())

    chunks = ChunkEncoder(encode)
    chunks.encode(code)
    assert len(encoded) > 10
    at = len(code) // 2
    for typed in ("x", "xy", "xy = 1\n"):
        encoded.clear()
        tokens = chunks.encode(code[:at] + typed + code[at:])
        assert bytes(tokens.tolist()).decode() == code[:at] + typed + code[at:]
        assert len(encoded) <= 2


def test_a_chunk_begins_with_the_blanks_before_a_line():
    code = "x = 1\n\n\n" * 400
    assert all(before[-1] == "1" and after[0] == "\n" for before, after in pairwise(split(code)))


KEPT = st.lists(st.tuples(TOKENS, st.booleans()), max_size=4)


@settings(deadline=None)
@given(KEPT, KEPT, st.sampled_from([0, 65_535]))
def test_joined_corpora_equal_one_built_from_the_files(first, second, widest):
    groups = []
    for number, group in enumerate((first, second)):
        files = [_file(tokens, f"{number}/{index}") for index, (tokens, _) in enumerate(group)]
        if number and widest:
            files.append(_file([widest, 1, widest], "wide"))
        groups.append((files, {f"{number}/{index}" for index, (_, kept) in enumerate(group) if not kept}))
    built = [TokenCorpus.build(files) for files, _ in groups]
    joined = TokenCorpus.join(
        [(each, each.kept(gone)) for each, (_, gone) in zip(built, groups, strict=True)]
    )
    files = [file for files, gone in groups for file in files if file.path not in gone]
    expected = TokenCorpus.build(files)
    assert joined.paths == expected.paths
    for name in ("tokens", "starts", "lengths", "first_lines", "positions", "following", "keys", "ranges"):
        np.testing.assert_array_equal(getattr(joined, name), getattr(expected, name))


def test_a_file_in_pieces_is_found_left_out_and_joined_as_one():
    pieces = [TokenizedFile("a", np.array([5, 6, 7]), first_line=line) for line in (0, 4)]
    corpus = TokenCorpus.build([_file([1, 2, 3], "b"), *pieces, _file([8, 9], "c")])
    assert [file.first_line for file in corpus.find_pieces("a")] == [0, 4]
    assert corpus.kept({"a"}).tolist() == [True, False, False, True]
    joined = TokenCorpus.join([(corpus, corpus.kept({"b"}))])
    assert [file.first_line for file in joined.find_pieces("a")] == [0, 4]
    assert joined.find_pieces("b") == ()


def test_more_than_a_corpus_holds_is_not_joined(monkeypatch):
    monkeypatch.setattr("fim_lsp.engine.memory.corpus.MOST_TOKENS", 30)
    part = TokenCorpus.build([_file([1] * 10)])
    with pytest.raises(ValueError, match="at most 30"):
        TokenCorpus.join([(part, part.kept(())), (part, part.kept(()))])
