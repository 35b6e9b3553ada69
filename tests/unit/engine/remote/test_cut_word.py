from __future__ import annotations

from fim_lsp.engine.remote.cut_word import CutWord, prefix_grammar
from fim_lsp.engine.vocabulary import Vocabulary

PIECES = (b" ", b" a", b" app", b" apply", b"a", b"pp", b"_", b"sea", b"s", b"")
WORDS = Vocabulary(PIECES)
TOKENS = {piece: token for token, piece in enumerate(PIECES)}


def test_other_beginnings_are_shorter_tokens_that_are_not_the_tokenizers_own():
    word = CutWord(b" app", (TOKENS[b" app"],))
    assert {PIECES[token] for token in word.other_beginnings(WORDS)} == {b" ", b" a"}
    word = CutWord(b" apply", (TOKENS[b" app"], TOKENS[b"s"]))
    assert {PIECES[token] for token in word.other_beginnings(WORDS)} == {b" ", b" a"}


def test_blanks_may_be_split_anywhere():
    assert not CutWord(b" a").other_beginnings(WORDS)
    assert not CutWord(b" a").needs_bans(WORDS)


def test_bans_may_be_needed_behind_the_first_token():
    word = CutWord(b"_sea", (TOKENS[b"_"], TOKENS[b"sea"]))
    assert not word.other_beginnings(WORDS)
    assert word.needs_bans(WORDS)
    behind = word.behind(TOKENS[b"_"], WORDS)
    assert behind == CutWord(b"sea", (TOKENS[b"sea"],))
    assert {PIECES[token] for token in behind.other_beginnings(WORDS)} == {b"s"}
    assert not behind.behind(TOKENS[b"sea"], WORDS).needs_bans(WORDS)


def test_one_byte_has_no_other_beginnings():
    assert not CutWord(b"s", (TOKENS[b"s"],)).needs_bans(WORDS)


def test_grammar_escapes_what_it_quotes():
    assert prefix_grammar('a"\n') == 'root ::= "a\\"\\n" [^\\x00]*'
