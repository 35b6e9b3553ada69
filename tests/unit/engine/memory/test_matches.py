"""The places that match a text, followed token by token, against a plain search from scratch."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fim_lsp.engine.memory import MemoryPart, TokenCorpus, TokenizedFile
from fim_lsp.engine.memory.corpus import LONGEST_MATCH
from fim_lsp.engine.memory.matches import MOST_VOTERS, Matches

TOKENS = st.lists(st.integers(0, 2), max_size=30)
FILES = st.lists(TOKENS, max_size=3)


def _part(files: list[list[int]], excluded: frozenset[str] = frozenset()) -> MemoryPart:
    tokenized = [TokenizedFile(str(index), np.array(tokens, np.int32)) for index, tokens in enumerate(files)]
    return MemoryPart(TokenCorpus.build(tokenized), excluded)


def _search(files: list[list[int]], text: list[int]) -> list[tuple[int, int]]:
    """Return depth and vote of each place that matches at least two tokens, by comparing everything."""
    found = []
    for tokens in files:
        for place in range(2, len(tokens)):
            depth = 0
            while (
                depth < min(LONGEST_MATCH, place, len(text)) and tokens[place - 1 - depth] == text[-1 - depth]
            ):
                depth += 1
            if depth >= 2:
                found.append((depth, tokens[place]))
    return sorted(found)


def _votes(matches: Matches) -> list[tuple[int, int]]:
    voters = matches.voters()
    return [] if voters is None else sorted(zip(voters.depths.tolist(), voters.tokens.tolist(), strict=True))


@settings(deadline=None)
@given(FILES, FILES, TOKENS, TOKENS)
def test_followed_matches_are_those_of_a_search_from_scratch(files, others, context, text):
    matches = Matches.of([_part(files), _part(others)], context)
    assert _votes(matches) == _search(files + others, context)
    for count, token in enumerate(text, 1):
        matches.advance(token)
        assert _votes(matches) == _search(files + others, context + text[:count])


@settings(deadline=None)
@given(FILES, TOKENS, TOKENS, st.sets(st.integers(0, 2)))
def test_excluded_files_never_vote(files, context, text, excluded):
    part = _part(files, frozenset(map(str, excluded)))
    left = [tokens for index, tokens in enumerate(files) if index not in excluded]
    matches = Matches.of([part], context)
    for count in range(len(text) + 1):
        assert _votes(matches) == _search(left, context + text[:count])
        if count < len(text):
            matches.advance(text[count])


@settings(deadline=None)
@given(FILES, TOKENS, TOKENS, TOKENS)
def test_a_copy_goes_its_own_way(files, context, text, other):
    matches = Matches.of([_part(files)], context)
    copy = matches.copy()
    for token in text:
        matches.advance(token)
    for token in other:
        copy.advance(token)
    assert _votes(matches) == _search(files, context + text)
    assert _votes(copy) == _search(files, context + other)


def test_the_continuation_is_that_of_the_longest_match_and_ends_with_its_file():
    part = _part([[1, 2, 3, 4, 5], [9, 2, 3, 7, 8]])
    matches = Matches.of([part], [1, 2, 3])
    assert matches.continuation(4, 3) == (4, 5)
    assert matches.continuation(1, 3) == (4,)
    assert matches.continuation(4, 4) == ()
    assert Matches.of([part], [6, 6]).continuation(4, 2) == ()


def test_of_many_places_the_deepest_vote():
    rare = [7, 8, 9, 1, 2, 5]
    common = [1, 2, 3] * (2 * MOST_VOTERS)
    voters = Matches.of([_part([common, rare])], [8, 9, 1, 2]).voters()
    assert len(voters.tokens) == MOST_VOTERS
    assert voters.matching == 2 * MOST_VOTERS + 1
    assert (4, 5) in zip(voters.depths.tolist(), voters.tokens.tolist(), strict=True)
