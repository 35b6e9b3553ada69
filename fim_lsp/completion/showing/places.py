"""Tell kinds of places: within words and lines, in comments and strings suggestions are less welcome."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping

from fim_lsp.code.cursor import CursorContext
from fim_lsp.code.languages import find_language
from fim_lsp.code.lexical import Scope
from fim_lsp.code.lines import is_word, only_closers
from fim_lsp.code.nesting import read_nesting
from fim_lsp.completion.multiline import opens_block
from fim_lsp.completion.showing.eagerness import ShowingRules
from fim_lsp.showing_settings import Where

_CLOSING_TAG = re.compile(r"</[\w.:-]*>|/?>")
_STATEMENT_END = re.compile(r"""[\w)\]}"'`;:>]$""")
_ALL_STRINGS = frozenset({"json", "jsonc", "json5", "jsonl"})
"""Languages whose every text is a string."""


class Place(enum.Enum):
    """A kind of place; the value says it in words for ``fimLsp.explain``."""

    WORD = "within a word"
    LINE = "within a line"
    COMMENT = "in a comment"
    STRING = "in a string"
    CODE = "at the end of a line of code"


def find_place(context: CursorContext) -> Place:
    """Return the kind of place that a cursor is at: the first that applies, in the order of :class:`Place`.

    Example: in ``x = fo|o`` it is within a word, in ``f(|, b)`` within a line, in ``f(|)`` at its end: the
    closers were most likely inserted by the editor.
    """
    line_suffix = context.line_suffix
    if line_suffix and is_word(line_suffix[0]) and is_word(context.line_prefix[-1:]):
        return Place.WORD
    if not only_closers(_CLOSING_TAG.sub("", line_suffix) if context.in_markup else line_suffix):
        return Place.COMMENT if context.inside and context.inside.scope is Scope.COMMENT else Place.LINE
    if find_language(context.language_id).prose:
        return Place.CODE
    scope = context.scope.scope
    if scope is Scope.COMMENT:
        return Place.COMMENT
    if scope is Scope.STRING and context.language_id not in _ALL_STRINGS:
        return Place.STRING
    return Place.CODE


def may_be_complete(context: CursorContext) -> bool:
    """Tell whether the cursor is right behind what may be a whole statement.

    Example: behind ``x = f(a)`` it is, behind ``x = `` it is not.
    """
    line = context.line_prefix
    return only_closers(context.line_suffix) and _STATEMENT_END.search(line) is not None


def may_end_line(context: CursorContext) -> bool:
    """Tell whether the cursor's line may end here: behind a whole statement that opens nothing.

    Example: behind ``x = 1`` it may, behind ``x = [1`` and ``if x:`` more has to follow.
    """
    if not may_be_complete(context) or opens_block(context):
        return False
    return not read_nesting(context.line_prefix, context.language_id).open


def least_chance(place: Place, rules: ShowingRules) -> float:
    """Return the least chance of being kept with which a suggestion is shown at a place."""
    return chance_for(allowed_at(place, rules), rules)


def chance_for(allowed: Where, rules: ShowingRules) -> float:
    """Return the least chance that a rule for a kind of place asks for."""
    confident = allowed == "confident"
    return max(rules.min_chance, rules.confident_chance) if confident else rules.min_chance


def allowed_at(place: Place, rules: ShowingRules) -> Where:
    """Return the rule for a kind of place."""
    rule: Mapping[Place, Where] = {
        Place.WORD: rules.within_words,
        Place.LINE: rules.within_lines,
        Place.COMMENT: rules.comments,
        Place.STRING: rules.strings,
        Place.CODE: "always",
    }
    return rule[place]
