"""The word that the cursor cut, while a server writes it anew (token healing).

In process each token of the word either begins with all that is left of it, or is the tokenizer's own next
token for it (``token_stream.py``). A grammar also allows every other beginning, such as a single blank or
letter, and those are often the likeliest. So a server that can ban tokens is asked for one token at a time,
until no other beginning is left to be banned.
"""

from __future__ import annotations

from attrs import field, frozen

from fim_lsp.engine.vocabulary import Vocabulary


def prefix_grammar(text: str) -> str:
    r"""Return a grammar (llama.cpp's GBNF) of all texts that begin with ``text``.

    Example: ``a"`` -> ``root ::= "a\"" [^\x00]*``.
    """
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return f'root ::= "{"".join(escapes.get(char, char) for char in text)}" [^\\x00]*'


@frozen
class CutWord:
    """The part of the word that is still to be written."""

    rest: bytes = field(repr=False)
    spelling: tuple[int, ...] = field(default=(), repr=False)
    """The tokenizer's own tokens for it; empty where any spelling will do."""

    def other_beginnings(self, vocabulary: Vocabulary) -> tuple[int, ...]:
        """Return the tokens that begin to spell the word, but are not the tokenizer's own next one.

        Example: `` app``, one token, -> the tokens `` `` and `` a``.
        """
        if not self.spelling:
            return ()
        return tuple(token for token in vocabulary.beginnings_of(self.rest) if token != self.spelling[0])

    def needs_bans(self, vocabulary: Vocabulary) -> bool:
        """Return whether other beginnings exist, now or behind some of the tokenizer's own tokens."""
        word = self
        while word.spelling:
            if word.other_beginnings(vocabulary):
                return True
            word = word.behind(word.spelling[0], vocabulary)
        return False

    def behind(self, token: int, vocabulary: Vocabulary) -> CutWord:
        """Return what is left of the word behind one of its tokens."""
        return CutWord(self.rest[len(vocabulary.pieces[token]) :], self.spelling[1:])
