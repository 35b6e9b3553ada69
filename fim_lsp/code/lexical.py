"""Strings, comments and brackets by a lexical scan: quick, bounded, and good in half-typed code.

Used by the bracket filters, and by ``syntax`` for languages without a grammar and for strings that are
still open, where a parser only reports an error. A scan reads delimiters, not grammars: regex literals and
string interpolation are beyond it.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from functools import lru_cache

from attrs import field, frozen

from fim_lsp.code.languages import Delimiters, find_language


class Scope(enum.Enum):
    """The kind of text that the cursor is in."""

    CODE = "code"
    COMMENT = "comment"
    STRING = "string"


@frozen
class Inside:
    """A string or comment that is open at some position, and what will close it."""

    close: str
    scope: Scope
    one_line: bool
    """True if the end of the line closes it, whether or not its delimiter came."""
    ending: re.Pattern[str] = field(init=False, repr=False, eq=False)
    """Matches what may end it, and the escapes before that which do not."""

    @ending.default
    def _compile_ending(self) -> re.Pattern[str]:
        ends = [re.escape(self.close)]
        if self.scope is Scope.STRING:
            ends.insert(0, r"\\.")
        if self.one_line:
            ends.append("\n")
        return re.compile("|".join(ends), re.DOTALL)


@frozen
class Mark:
    """A bracket in code, or the delimiter that closed the string open where the scan began."""

    char: str
    position: int


@frozen
class Scan:
    """The result of a scan."""

    marks: tuple[Mark, ...]
    inside: Inside | None
    """The string or comment still open at the end of the text."""


_NO_DELIMITERS = Delimiters()


@frozen
class Lexis:
    """The delimiters of one language, and the pattern that finds them and the brackets."""

    openings: Mapping[str, Inside]
    """The string or comment that each opening delimiter opens."""
    pattern: re.Pattern[str]


@lru_cache(maxsize=64)
def lexis(language_id: str) -> Lexis:
    """Return the delimiters of a language by its id; a C-like guess for unknown ones."""
    language = find_language(language_id)
    delimiters = _NO_DELIMITERS if language.prose else language.delimiters
    openings = {
        **{char: Inside(char, Scope.STRING, True) for char in delimiters.strings},
        **{opening: Inside(close, Scope.STRING, False) for opening, close in delimiters.long_strings},
        **{opening: Inside("\n", Scope.COMMENT, True) for opening in delimiters.line_comments},
        **{opening: Inside(close, Scope.COMMENT, False) for opening, close in delimiters.block_comments},
    }
    # The longest delimiter first: `"""` before `"`, `--[[` before `--`.
    patterns = [re.escape(opening) for opening in sorted(openings, key=len, reverse=True)]
    if delimiters.spaced_hash:
        patterns = [r"(?:^|(?<=\s))\#" if each == r"\#" else each for each in patterns]
    skipped = [r"'(?:\\[^'\n]+|[^'\\\n])'"] if delimiters.chars else []
    brackets = r"[-=]>|[<>]=|[()\[\]{}<>]"
    return Lexis(openings, re.compile("|".join([*skipped, *patterns, brackets]), re.MULTILINE))


def without_comment(line: str, language_id: str) -> str:
    """Return a line without the comment that goes on to its end, and the blanks before that.

    Example: ``for a in b:  # all`` -> ``for a in b:``.
    """
    language = lexis(language_id)
    position = 0
    while match := language.pattern.search(line, position):
        position = match.end()
        inside = language.openings.get(match[0])
        if inside is None:
            continue
        position = _end(line, position, inside)
        if inside.scope is Scope.COMMENT and (inside.one_line or position < 0):
            return line[: match.start()].rstrip()
        if position < 0:
            return line
    return line


def scan(text: str, language_id: str, inside: Inside | None = None) -> Scan:
    """Find the brackets of ``text`` that are code, beginning ``inside`` a string or comment.

    ``<`` and ``>`` are among them where they aren't part of an arrow or a comparison with ``=``; the caller
    decides whether they are brackets.

    Example: ``f("(") # (`` in Python has the marks ``(`` and ``)`` and ends inside a comment.
    """
    marks: list[Mark] = []
    language = lexis(language_id)
    position = _end(text, 0, inside) if inside else 0
    if position < 0:
        return Scan((), inside)
    if inside and inside.scope is Scope.STRING and text.endswith(inside.close, 0, position):
        marks.append(Mark(inside.close, position - len(inside.close)))
    while match := language.pattern.search(text, position):
        token, position = match[0], match.end()
        if token in language.openings:
            inside = language.openings[token]
            position = _end(text, position, inside)
            if position < 0:
                return Scan(tuple(marks), inside)
        elif len(token) == 1:
            marks.append(Mark(token, match.start()))
    return Scan(tuple(marks), None)


def _end(text: str, start: int, inside: Inside) -> int:
    """Return the position behind the string or comment that is open at ``start``, or -1 if it goes on."""
    for match in inside.ending.finditer(text, start):
        if not match[0].startswith("\\"):
            return match.end()
    return -1
