"""Strings, comments and brackets by a lexical scan: quick, bounded, and good in half-typed code.

Used by the bracket filters, and by ``syntax`` for languages without a grammar and for strings that are
still open, where a parser only reports an error. It knows delimiters, not grammars: regex literals and
string interpolation are beyond it.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from functools import lru_cache

from attrs import frozen

from fim_lsp.code.languages import Delimiters, find_language


class Scope(enum.Enum):
    """What kind of text the cursor is in."""

    CODE = "code"
    COMMENT = "comment"
    STRING = "string"


@frozen
class Inside:
    """A string or comment that is open at some place, and what will close it."""

    close: str
    scope: Scope
    one_line: bool
    """True if the end of the line closes it, whether or not its delimiter came."""


@frozen
class Mark:
    """A bracket in code, or the delimiter that closed the string open where the scan began."""

    char: str
    at: int


@frozen
class Scan:
    """What a scan found."""

    marks: tuple[Mark, ...]
    inside: Inside | None
    """The string or comment still open at the end of the text."""


_NO_DELIMITERS = Delimiters()


@frozen
class Lexis:
    """The delimiters of one language, and the pattern that finds them and the brackets."""

    openings: Mapping[str, Inside]
    """What each opening delimiter opens."""
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


@lru_cache(maxsize=8)  # The same window is asked about by one filter after the other.
def scan(text: str, language_id: str, inside: Inside | None = None) -> Scan:
    """Find the brackets of ``text`` that are code, beginning ``inside`` a string or comment.

    ``<`` and ``>`` are among them where they aren't part of an arrow or a comparison with ``=``; whether
    they are brackets is up to the reader.
    """
    marks: list[Mark] = []
    language = lexis(language_id)
    at = _end(text, 0, inside) if inside else 0
    if at < 0:
        return Scan((), inside)
    if inside and inside.scope is Scope.STRING and text.endswith(inside.close, 0, at):
        marks.append(Mark(inside.close, at - len(inside.close)))
    while match := language.pattern.search(text, at):
        token, at = match[0], match.end()
        if token in language.openings:
            inside = language.openings[token]
            at = _end(text, at, inside)
            if at < 0:
                return Scan(tuple(marks), inside)
        elif len(token) == 1:
            marks.append(Mark(token, match.start()))
    return Scan(tuple(marks), None)


def _end(text: str, at: int, inside: Inside) -> int:
    """Where the string or comment that is open at ``at`` is over, or -1."""
    for match in _ending(inside).finditer(text, at):
        if not match[0].startswith("\\"):
            return match.end()
    return -1


@lru_cache(maxsize=64)
def _ending(inside: Inside) -> re.Pattern[str]:
    ends = [re.escape(inside.close)]
    if inside.scope is Scope.STRING:
        ends.insert(0, r"\\.")
    if inside.one_line:
        ends.append("\n")
    return re.compile("|".join(ends), re.DOTALL)
