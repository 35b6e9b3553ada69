"""Read what is open at a cursor, strings and markup included: brackets, strings, interpolations and tags.

``lexical.scan`` finds brackets and the string or comment that the cursor is in. This module reads more: an
interpolation within a string, a bracket within a string, a tag, its attributes and its element. Editors close
all of these as the user types, so the rest of the cursor's line begins with their closers.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from attrs import field, frozen

from fim_lsp.code.languages import Language, find_language

_CLOSER_OF: Mapping[str, str] = MappingProxyType({"(": ")", "[": "]", "{": "}"})
_VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]
)
"""HTML elements without a closing tag."""
_TAG = re.compile(r"<([A-Za-z][\w.:-]*)?(?=[\s>/]|$)")
_KEYWORD = re.compile(r"(?<![\w.$])(?:return|default|case|else|yield|await)$")
"""Words that a tag of JSX may follow; behind another name ``<`` compares, or begins a type argument."""
_NEAR = 200
"""Characters before a ``<`` that tell what it is."""
_MARKUP_SIGN = re.compile(r"[<{]")
_CLOSING_TAG = re.compile(r"</([\w.:-]*)\s*>")
_DEEPEST = 256
"""Pairs kept, innermost last: a bound for text that is all brackets."""


class Kind(enum.Enum):
    """The kinds of things that are open."""

    BRACKET = "bracket"
    STRING = "string"
    INTERPOLATION = "interpolation"
    BRACKET_IN_STRING = "bracket in string"
    TAG = "tag"
    ELEMENT = "element"


@frozen
class OpenPair:
    """Something that is open, and the text that closes it."""

    kind: Kind
    close: str
    one_line: bool = False
    """True if the end of the line closes it, whether or not its closer came."""
    interpolations: tuple[tuple[str, str], ...] = ()
    """Opening and closing marks of expressions, for a string."""
    name: str = ""
    """Of a tag or element."""


@frozen
class Closer:
    """A closer of something that was open before the text began, or was never opened."""

    text: str
    position: int
    in_code: bool
    """True for a bracket of code, which must find its opener; False within strings and markup."""


@frozen
class Nesting:
    """The result of reading a text."""

    open: tuple[OpenPair, ...]
    """The pairs open at the end, outermost first."""
    closers: tuple[Closer, ...]
    """In order."""
    own: int
    """The number of open pairs that the text opened itself; they are the innermost."""


def read_nesting(text: str, language_id: str, open_before: Sequence[OpenPair] = ()) -> Nesting:
    """Read ``text``, which begins inside ``open_before``.

    Example: ``print(f"{`` in Python leaves a bracket, a string and an interpolation open; read from there,
    ``name}")`` has the closers ``}``, ``"`` and ``)``.
    """
    language = find_language(language_id)
    return _Reader(text, language, list(open_before[-_DEEPEST:])).read()


def is_markup(language_id: str) -> bool:
    """Tell whether documents of a language consist of elements, as HTML's do."""
    return find_language(language_id).markup


def has_elements(language_id: str) -> bool:
    """Tell whether tags and elements stand in documents of a language, or in its code as in JSX."""
    language = find_language(language_id)
    return language.markup or language.jsx


@frozen
class _Strings:
    """The delimiters of one language, compiled."""

    pattern: re.Pattern[str]
    """Matches comments to skip, strings, characters and brackets."""
    closes: Mapping[str, tuple[str, bool]] = field(repr=False)
    """For each opening delimiter of a string: the closing one, and whether the line's end closes it too."""
    comments: Mapping[str, str] = field(repr=False)


@lru_cache(maxsize=64)
def _strings_of(language: Language) -> _Strings:
    delimiters = language.delimiters
    closes = {char: (char, True) for char in delimiters.strings}
    closes.update({opening: (close, False) for opening, close in delimiters.long_strings})
    comments = dict.fromkeys(delimiters.line_comments, "\n")
    comments.update(dict(delimiters.block_comments))
    marks = [re.escape(mark) for mark in sorted([*closes, *comments], key=len, reverse=True)]
    if delimiters.spaced_hash:
        marks = [r"(?:^|(?<=\s))\#" if mark == r"\#" else mark for mark in marks]
    chars = [r"'(?:\\[^'\n]+|[^'\\\n])'"] if delimiters.chars else []
    pattern = re.compile("|".join([*chars, *marks, r"[()\[\]{}<]"]), re.MULTILINE)
    return _Strings(pattern, MappingProxyType(closes), MappingProxyType(comments))


@lru_cache(maxsize=64)
def _stops_in_string(string: OpenPair | None) -> re.Pattern[str]:
    """Compile what a reader has to look at within a string, or within prose."""
    marks = [r"[\\\n()\[\]{}`]"]
    if string is not None:
        marks += [re.escape(string.close), *(re.escape(opening) for opening, _ in string.interpolations)]
    return re.compile("|".join(sorted(marks, key=len, reverse=True)))


class _Reader:
    """Reads one text. Its state is a stack of pairs and a position."""

    def __init__(self, text: str, language: Language, stack: list[OpenPair]) -> None:
        self._text = text
        self._language = language
        self._strings = _strings_of(language)
        self._stack = stack
        self._base = len(stack)
        self._closers: list[Closer] = []
        self._position = 0

    def read(self) -> Nesting:
        while self._position < len(self._text):
            self._step()
        if len(self._stack) > _DEEPEST:
            del self._stack[:-_DEEPEST]
        return Nesting(tuple(self._stack), tuple(self._closers), max(0, len(self._stack) - self._base))

    def _step(self) -> None:
        top = self._stack[-1] if self._stack else None
        if top is None:
            if self._language.markup:
                self._read_markup()
            elif self._language.prose:
                self._read_string(None)
            else:
                self._read_code(None)
        elif top.kind is Kind.TAG:
            self._read_tag(top)
        elif top.kind is Kind.ELEMENT:
            self._read_markup()
        elif top.kind in (Kind.STRING, Kind.BRACKET_IN_STRING):
            self._read_string(top)
        else:
            self._read_code(top)

    # --- Open pairs

    def _push(self, pair: OpenPair, length: int) -> None:
        self._stack.append(pair)
        self._position += length

    def _pop_to(self, index: int, text: str) -> None:
        """Close the pair at ``index`` and all above it with ``text``, which stands at the position."""
        pair = self._stack[index]
        if index < self._base:
            self._note(text, pair.kind is Kind.BRACKET and not self._in_string(index))
            self._base = index
        del self._stack[index:]
        self._position += len(text)

    def _note(self, text: str, in_code: bool) -> None:
        self._closers.append(Closer(text, self._position, in_code))

    def _in_string(self, index: int) -> bool:
        return any(pair.kind is Kind.STRING for pair in self._stack[:index])

    def _innermost(self, kinds: Sequence[Kind], close: str) -> int:
        """Return the index of the innermost pair of these kinds that ``close`` closes, or -1."""
        for index in range(len(self._stack) - 1, -1, -1):
            pair = self._stack[index]
            if pair.kind not in kinds:
                return -1
            if pair.close == close:
                return index
        return -1

    # --- Code

    def _read_code(self, top: OpenPair | None) -> None:
        match = self._strings.pattern.search(self._text, self._position)
        if top is not None and top.kind is Kind.INTERPOLATION and len(top.close) > 1:
            end = self._text.find(top.close, self._position)
            if end >= 0 and (match is None or end <= match.start()):
                self._position = end
                self._pop_to(len(self._stack) - 1, top.close)
                return
        if match is None:
            self._position = len(self._text)
            return
        token, self._position = match[0], match.start()
        if token in self._strings.comments:
            close = self._strings.comments[token]
            end = self._text.find(close, match.end())
            self._position = len(self._text) if end < 0 else end + len(close)
        elif token in self._strings.closes:
            close, one_line = self._strings.closes[token]
            self._push(OpenPair(Kind.STRING, close, one_line, self._interpolations(token)), len(token))
        elif token == "<":
            self._read_angle()
        elif token in _CLOSER_OF:
            self._push(OpenPair(Kind.BRACKET, _CLOSER_OF[token]), 1)
        elif len(token) == 1:
            self._close_bracket(token)
        else:
            self._position = match.end()

    def _close_bracket(self, token: str) -> None:
        top = self._stack[-1] if self._stack else None
        if top is not None and top.kind is Kind.INTERPOLATION and top.close == token:
            self._pop_to(len(self._stack) - 1, token)
            return
        index = self._innermost((Kind.BRACKET,), token)
        if index < 0 and self._stack:
            # The bracket may close the interpolation around unclosed brackets.
            index = self._innermost((Kind.BRACKET, Kind.INTERPOLATION), token)
        if index >= 0:
            self._pop_to(index, token)
        else:
            self._note(token, not self._in_string(len(self._stack)))
            self._position += 1

    def _read_angle(self) -> None:
        """Read a ``<`` of code: a tag in JSX, else an operator or a type argument."""
        near = self._text[max(0, self._position - _NEAR) : self._position].rstrip()
        before = "" if _KEYWORD.search(near) else near[-1:]
        tag = _TAG.match(self._text, self._position)
        if self._language.jsx and tag and not (before.isalnum() or before in (")", "]", "_")):
            self._push(OpenPair(Kind.TAG, ">", name=tag[1] or ""), len(tag[0]))
        else:
            self._position += 1

    def _interpolations(self, opening: str) -> tuple[tuple[str, str], ...]:
        """Return the marks of expressions in a string that ``opening`` begins at the position.

        Bare braces are marks in strings with a prefix alone (``f"{x}"``, ``$"{x}"``); JavaScript's ``${}`` in
        template strings alone.
        """
        delimiters = self._language.delimiters
        if opening in delimiters.plain_strings:
            return ()
        start = self._position
        while start and (self._text[start - 1].isalpha() or self._text[start - 1] in "$@"):
            start -= 1
        prefix = self._text[start : self._position].lower()
        formatted = "f" in prefix or "$" in prefix
        return tuple(mark for mark in delimiters.interpolations if mark[0] != "{" or formatted)

    # --- Strings and prose

    def _read_string(self, top: OpenPair | None) -> None:
        string = next((pair for pair in reversed(self._stack) if pair.kind is Kind.STRING), None)
        found = _stops_in_string(string).search(self._text, self._position)
        if found is None:
            self._position = len(self._text)
            return
        self._position = found.start()
        char = self._text[self._position]
        if string is not None and self._open_interpolation(string):
            return
        if string is not None and self._text.startswith(string.close, self._position):
            self._pop_to(self._index_of_string(), string.close)
        elif char == "\\" and not self._language.prose:
            self._position += 2
        elif char == "\n" and self._ends_with_line(string):
            self._leave_line(string)
        elif string is None and char == "`":
            self._push(OpenPair(Kind.STRING, "`", one_line=True), 1)
        else:
            self._read_bracket_in_string(top, char, string)

    def _open_interpolation(self, string: OpenPair) -> bool:
        """Open the expression that begins at the position; False if there is none."""
        for opening, close in string.interpolations:
            doubled = opening == "{" and self._text.startswith("{{", self._position)
            if self._text.startswith(opening, self._position) and not doubled:
                self._push(OpenPair(Kind.INTERPOLATION, close), len(opening))
                return True
        return False

    def _read_bracket_in_string(self, top: OpenPair | None, char: str, string: OpenPair | None) -> None:
        in_code_of_prose = self._language.prose and string is not None
        if char in _CLOSER_OF and not in_code_of_prose:
            self._push(OpenPair(Kind.BRACKET_IN_STRING, _CLOSER_OF[char]), 1)
        elif top is not None and top.kind is Kind.BRACKET_IN_STRING and char == top.close:
            self._pop_to(len(self._stack) - 1, char)
        else:
            self._position += 1

    def _ends_with_line(self, string: OpenPair | None) -> bool:
        return string.one_line if string is not None else bool(self._stack)

    def _index_of_string(self) -> int:
        return max(index for index, pair in enumerate(self._stack) if pair.kind is Kind.STRING)

    def _leave_line(self, string: OpenPair | None) -> None:
        """Drop what a line's end closes; a text that crosses it closes nothing of it by itself."""
        index = self._index_of_string() if string is not None else 0
        del self._stack[index:]
        self._base = min(self._base, index)
        self._position += 1

    # --- Markup

    def _read_tag(self, top: OpenPair) -> None:
        text, position = self._text, self._position
        char = text[position]
        if text.startswith("/>", position):
            self._pop_to(len(self._stack) - 1, "/>")
        elif char == ">" and text[position - 1 : position] != "=":
            opened_before = len(self._stack) <= self._base
            self._pop_to(len(self._stack) - 1, ">")
            if top.name not in _VOID or self._language.jsx:
                self._stack.append(OpenPair(Kind.ELEMENT, f"</{top.name}>", name=top.name))
                # The element of a tag that was open before the text began was opened there, too.
                self._base = len(self._stack) if opened_before else self._base
        elif char in "\"'":
            self._push(OpenPair(Kind.STRING, char), 1)
        elif char == "{" and self._language.text_expressions == ("{", "}"):
            self._push(OpenPair(Kind.BRACKET, "}"), 1)
        else:
            self._position += 1

    def _read_markup(self) -> None:
        text, position, expression = self._text, self._position, self._language.text_expressions
        if text.startswith("<!--", position):
            end = text.find("-->", position)
            self._position = len(text) if end < 0 else end + 3
        elif closing := _CLOSING_TAG.match(text, position):
            self._close_element(closing)
        elif tag := _TAG.match(text, position):
            self._push(OpenPair(Kind.TAG, ">", name=tag[1] or ""), len(tag[0]))
        elif expression and text.startswith(expression[0], position):
            kind = Kind.BRACKET if expression[1] == "}" else Kind.INTERPOLATION
            self._push(OpenPair(kind, expression[1]), len(expression[0]))
        else:
            found = _MARKUP_SIGN.search(text, position + 1)
            self._position = found.start() if found else len(text)

    def _close_element(self, closing: re.Match[str]) -> None:
        name = closing[1]
        index = self._innermost((Kind.ELEMENT,), f"</{name}>")
        if index >= 0:
            self._pop_to(index, closing[0])
        else:
            self._note(closing[0], False)
            self._position = closing.end()
