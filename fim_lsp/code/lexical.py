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

from attrs import field, frozen


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


@frozen
class Lexis:
    """The delimiters of one family of languages."""

    line_comments: tuple[str, ...] = ()
    block_comments: tuple[tuple[str, str], ...] = ()
    strings: str = ""
    """Delimiters of strings that end with their line at the latest."""
    long_strings: tuple[tuple[str, str], ...] = ()
    """Delimiters of strings that may run over lines, opening and closing."""
    chars: bool = False
    """A single quote means a character, or a lifetime, and never opens a longer string."""
    spaced_hash: bool = False
    """``#`` opens a comment only after a blank (``$#`` and ``${x#y}`` of the shell)."""
    balanced: bool = True
    """False where brackets need not pair up: prose, and ``case`` in the shell."""
    openings: Mapping[str, Inside] = field(init=False, repr=False, eq=False)
    pattern: re.Pattern[str] = field(init=False, repr=False, eq=False)

    @openings.default
    def _openings(self) -> dict[str, Inside]:
        return {
            **{char: Inside(char, Scope.STRING, True) for char in self.strings},
            **{opening: Inside(close, Scope.STRING, False) for opening, close in self.long_strings},
            **{opening: Inside("\n", Scope.COMMENT, True) for opening in self.line_comments},
            **{opening: Inside(close, Scope.COMMENT, False) for opening, close in self.block_comments},
        }

    @pattern.default
    def _pattern(self) -> re.Pattern[str]:
        # The longest delimiter first: `"""` before `"`, `--[[` before `--`.
        delimiters = [re.escape(opening) for opening in sorted(self.openings, key=len, reverse=True)]
        if self.spaced_hash:
            delimiters = [r"(?:^|(?<=\s))\#" if each == r"\#" else each for each in delimiters]
        skipped = [r"'(?:\\[^'\n]+|[^'\\\n])'"] if self.chars else []
        return re.compile("|".join([*skipped, *delimiters, r"[-=]>|[<>]=|[()\[\]{}<>]"]), re.MULTILINE)


_C_BLOCK = (("/*", "*/"),)
_C = Lexis(("//",), _C_BLOCK, '"', chars=True)
_RUST = Lexis(("//",), _C_BLOCK, '"', (('r#"', '"#'),), chars=True)
_GO = Lexis(("//",), _C_BLOCK, '"', (("`", "`"),), chars=True)
_JAVASCRIPT = Lexis(("//",), _C_BLOCK, "\"'", (("`", "`"),))
_TRIPLE_QUOTED = Lexis(("//",), _C_BLOCK, '"', (('"""', '"""'),), chars=True)
_PYTHON = Lexis(("#",), (), "\"'", (('"""', '"""'), ("'''", "'''")))
_HASH = Lexis(("#",), (), "\"'", spaced_hash=True)
_SHELL = Lexis(("#",), (), "\"'", spaced_hash=True, balanced=False)
_PROSE = Lexis(balanced=False)
_UNKNOWN = Lexis(("//", "#"), _C_BLOCK, '"', chars=True, spaced_hash=True)
_FAMILIES: tuple[tuple[frozenset[str], Lexis], ...] = (
    (frozenset({"python", "cython", "starlark"}), _PYTHON),
    (frozenset({"javascript", "javascriptreact", "typescript", "typescriptreact", "dart"}), _JAVASCRIPT),
    (frozenset({"rust"}), _RUST),
    (frozenset({"go"}), _GO),
    (frozenset({"java", "kotlin", "scala", "swift", "csharp"}), _TRIPLE_QUOTED),
    (frozenset({"c", "cpp", "objective-c", "objective-cpp", "cuda-cpp", "zig", "jsonc", "json"}), _C),
    (frozenset({"php"}), Lexis(("//", "#"), _C_BLOCK, "\"'")),
    (frozenset({"css"}), Lexis((), _C_BLOCK, "\"'")),
    (frozenset({"scss", "less"}), Lexis(("//",), _C_BLOCK, "\"'")),
    (frozenset({"ruby", "perl", "r", "yaml", "toml", "elixir", "julia", "nix", "dockerfile"}), _HASH),
    (frozenset({"shellscript", "bash", "sh", "zsh", "fish", "makefile", "powershell"}), _SHELL),
    (frozenset({"lua"}), Lexis(("--",), (("--[[", "]]"),), "\"'", (("[[", "]]"),))),
    (frozenset({"sql"}), Lexis(("--",), _C_BLOCK, "\"'")),
    (frozenset({"haskell", "elm", "purescript"}), Lexis(("--",), (("{-", "-}"),), '"', chars=True)),
    (frozenset({"clojure", "lisp", "scheme", "racket"}), Lexis((";",), (), '"')),
    (frozenset({"html", "xml", "vue", "svelte"}), Lexis((), (("<!--", "-->"),))),
    (frozenset({"latex", "tex", "bibtex"}), Lexis(("%",), balanced=False)),
    (frozenset({"plaintext", "markdown", "restructuredtext", "git-commit"}), _PROSE),
)


@lru_cache(maxsize=64)
def lexis(language_id: str) -> Lexis:
    """The delimiters of a language by its LSP id; a C-like guess for unknown ones."""
    return next((family for names, family in _FAMILIES if language_id in names), _UNKNOWN)


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
