"""When generation has said enough: checked after every token, while the text streams.

Pure: the text so far in, how much of it to keep out. What a finished text still needs is done by
``postprocess``; end-of-generation tokens and FIM markers are the engine's business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import islice

from attrs import field, frozen

from fim_lsp.code.cursor import indent_width, surroundings
from fim_lsp.code.lexical import Inside, scan
from fim_lsp.code.pairing import pair
from fim_lsp.completion.filters.drop_repeated_lines import repeats_next_line
from fim_lsp.completion.filters.lines_above import repeats_above
from fim_lsp.completion.filters.replace_range import only_closers
from fim_lsp.settings import CompletionSettings
from fim_lsp.types import CompletionRequest

TAIL_TOKENS = 6
"""Tokens whose mean probability is watched: about one short name and the signs around it."""
_REPEATS = 3

_CLOSING_WORD = r"(?:end\w*|fi|done|esac)"
_CLOSER = re.compile(rf"(?:[)\]}}>]+[;,)]*|{_CLOSING_WORD}[;,.)]*|</[\w.:-]+>)")
_BEGINS_WITH_CLOSER = re.compile(rf"[)\]}}>]|{_CLOSING_WORD}\b|</")
_CONTINUES = re.compile(
    r"[{]|(?:elif|else|elsif|elseif|except|finally|catch|rescue|ensure|when|case|default|then|do|while)\b"
)
_UNDECIDED = re.compile(r"[)\]}>;,.]*|</?[\w.:-]*|\w+")
"""A line of which so much has come may still turn out a closer, or a word that goes on with the block."""


@frozen
class Stop:
    """Generation is over."""

    keep: int
    """How many characters of the text to keep."""
    rule: str
    """Which rule ended it, for ``fimLsp.explain``."""


@frozen
class StopRules:
    """What to watch for during one generation. Built once by :func:`stop_rules`."""

    multiline: bool
    max_lines: int
    stop_below: float
    time_budget_ms: float
    tab_size: int
    language_id: str
    line_prefix: str = field(repr=False)
    """The cursor's line up to the cursor."""
    rest: str = field(repr=False)
    """The cursor's line from the cursor on, without blanks around it."""
    lines_above: tuple[str, ...] = field(repr=False)
    """The lines above the cursor's."""
    next_line: str = field(repr=False)
    """The first line below that isn't blank."""
    inside: Inside | None
    """The string or comment that the cursor is in."""
    levels_above: tuple[int, ...]
    """Indentations of the blocks around the cursor, innermost first, in columns."""
    levels_below: tuple[tuple[int, str], ...]
    """Lines that close those blocks or come after them: the first line at each lower indentation."""


def stop_rules(request: CompletionRequest, settings: CompletionSettings, *, multiline: bool) -> StopRules:
    """Look around the cursor once, so that :func:`check` doesn't have to for each token."""
    around = surroundings(request)
    above = [around.line_prefix, *reversed(around.lines_above)]
    return StopRules(
        multiline=multiline,
        max_lines=settings.max_lines,
        stop_below=settings.stop_below,
        time_budget_ms=settings.time_budget_ms,
        tab_size=request.tab_size,
        language_id=request.document.language_id,
        line_prefix=around.line_prefix,
        rest=around.rest.lstrip(),
        lines_above=tuple(around.lines_above),
        next_line=around.next_line,
        inside=scan(around.before, request.document.language_id).inside,
        levels_above=tuple(level for level, _ in _levels(above, request.tab_size)),
        levels_below=_levels(around.lines_below, request.tab_size),
    )


def _levels(lines: Sequence[str], tab_size: int) -> tuple[tuple[int, str], ...]:
    """The lines that are indented less than every line before them, blank ones apart."""
    levels: list[tuple[int, str]] = []
    for line in lines:
        indent = indent_width(line, tab_size)
        if line.strip() and (not levels or indent < levels[-1][0]):
            levels.append((indent, line.strip()))
    return tuple(levels)


def check(text: str, probabilities: Sequence[float], elapsed_ms: float, rules: StopRules) -> Stop | None:
    """Decide whether ``text`` is enough.

    Args:
        text: everything generated so far.
        probabilities: the model's probability for each token of it, 0 to 1.
        elapsed_ms: since the prompt was evaluated.
        rules: from :func:`stop_rules`.

    Returns:
        What to keep, or None to go on. Of several rules the one that applies to the earliest line wins.
    """
    draft = _draft(text, rules)
    for index in range(len(draft.lines)):
        for name, rule in _LINE_RULES:
            keep = rule(draft, index)
            if keep is not None:
                return Stop(keep, name)
    tail = probabilities[-TAIL_TOKENS:]
    if len(tail) == TAIL_TOKENS and sum(tail) < rules.stop_below * TAIL_TOKENS:
        return Stop(_settled(text), "low_probability")
    if elapsed_ms >= rules.time_budget_ms:
        return Stop(len(text), "time_budget")
    return None


def is_echo(text: str, rules: StopRules) -> bool:
    """Whether ``text`` is nothing but what stands around the cursor already, where new text could stand.

    That is a line of its own. Behind what the user wrote there may well be nothing to say: a model that goes
    on with the next line finds this one complete.
    """
    if rules.line_prefix.strip():
        return False
    behind = text.strip() in ("", rules.rest, rules.next_line.strip())
    return behind or repeats_above(text, rules.line_prefix, rules.lines_above)


def _settled(text: str) -> int:
    """The end of the last whole line, or of the text while there is none: the doubt is about the rest."""
    whole = text[: text.rfind("\n") + 1].rstrip()
    return len(whole) or len(text)


# --- The text, line by line


@frozen
class _Line:
    start: int
    """Where the line begins in the text."""
    text: str
    full: str
    """With what the cursor's line had before the cursor, for the first line."""
    complete: bool
    """Its line break has come."""

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@frozen
class _Draft:
    """The text so far, and the block it is in."""

    text: str
    rules: StopRules
    lines: tuple[_Line, ...]
    first: int
    """Index of the first line that isn't blank."""
    floor: int
    """The indentation that the block began at, in columns."""
    header: int | None
    """The indentation of the header that the cursor's line turned out to be, whose closers may still come."""


def _draft(text: str, rules: StopRules) -> _Draft:
    lines: list[_Line] = []
    start = 0
    for part in text.split("\n"):
        full = part if lines else rules.line_prefix + part
        lines.append(_Line(start, part, full, start + len(part) < len(text)))
        start += len(part) + 1
    first = next((index for index, line in enumerate(lines) if line.text.strip()), len(lines))
    floor, header = _block(lines, first, rules)
    return _Draft(text, rules, tuple(lines), first, floor, header)


def _block(lines: Sequence[_Line], first: int, rules: StopRules) -> tuple[int, int | None]:
    """The indentation that the text's block began at, and that of its header.

    A text that goes on with a line already begun is in that line's block, or, if the lines after it are
    deeper, in the block that this line opens: then the block began one level deeper. On a blank line the
    text's own first line says where it is. At top level the floor is 0, and nothing can fall below.
    """
    if not rules.line_prefix.strip():
        return indent_width(lines[first].full, rules.tab_size) if first < len(lines) else 0, None
    own = indent_width(lines[0].full, rules.tab_size)
    later = (indent_width(line.text, rules.tab_size) for line in lines[1:] if line.text.strip(" \t{"))
    body = next(later, own)
    if body > own:
        return own + 1, own
    return (own if first == 0 else min(own, body)), None


# --- Rules: each gives how much to keep if the line at ``index`` ends the text


def _repeats_suffix(draft: _Draft, index: int) -> int | None:
    """A line of the suffix has come again: the rest of the cursor's line, or the next line.

    A line that repeats the next one is cut off. One that ends in the rest of the cursor's line is kept, since
    the replace range or a filter takes the repeated part.
    """
    line, rules = draft.lines[index], draft.rules
    if not line.complete or not line.text.strip():
        return None
    rest = rules.rest
    if rest and line.text.rstrip().endswith(rest) and (index == 0 or line.text.strip() == rest):
        cut = len(draft.text[: line.end].rstrip()) - len(rest)
        if not _closes_own(draft, line, cut):
            return line.end
    if rules.next_line and repeats_next_line(line.text, line.start, rules.line_prefix, rules.next_line):
        return None if _closes_own(draft, line, line.start) else _end_before(draft, line)
    return None


def _closes_own(draft: _Draft, line: _Line, cut: int) -> bool:
    """Whether a bracket that the text opened before ``cut`` is closed on the rest of the line."""
    marks = scan(draft.text[: line.end], draft.rules.language_id, draft.rules.inside).marks
    return pair(marks).across(cut) > 0


def _closes_block(draft: _Draft, index: int) -> int | None:
    """The block that the text began in is over.

    A bare closer exactly one level below (``}``, ``end``) is kept if the suffix lacks it: then the user has
    opened that block by hand, and wants it closed. The text's first line is never cut: there would be
    nothing left to offer.
    """
    line, rules = draft.lines[index], draft.rules
    words = line.text.strip()
    if index <= draft.first or not words:
        return None
    indent = indent_width(line.text, rules.tab_size)
    if indent >= draft.floor:
        return None
    if not line.complete and _UNDECIDED.fullmatch(words):
        return None
    closes = _BEGINS_WITH_CLOSER.match(words) is not None and not _suffix_closes(rules, indent)
    if indent == draft.header:
        return None if closes or _CONTINUES.match(words) else _end_before(draft, line)
    enclosing = next((level for level in rules.levels_above if level < draft.floor), None)
    if closes and indent == enclosing and _CLOSER.fullmatch(words):
        return line.end if line.complete else None
    return _end_before(draft, line)


def _suffix_closes(rules: StopRules, indent: int) -> bool:
    """Whether the block at ``indent`` is closed below the cursor already."""
    return any(level == indent and _BEGINS_WITH_CLOSER.match(line) for level, line in rules.levels_below)


def _ends_single_line(draft: _Draft, index: int) -> int | None:
    """In single-line mode: the first line break behind text.

    Line breaks before any text are let through: the model finds the cursor's line complete, and its next line
    is what the user wants to see. Not so with code after the cursor, unless the cursor is before all of it:
    then that code moves down, to the indentation that the model gives it.
    """
    rules, line = draft.rules, draft.lines[index]
    if rules.multiline:
        return None
    if not rules.rest:
        return line.end if line.complete and draft.first <= index else None
    if rules.line_prefix.strip() or only_closers(rules.rest):
        return line.end if line.complete else None
    indent = len(line.text) - len(line.text.lstrip())
    return line.start + indent if index > draft.first and line.text.strip() else None


def _repeats_itself(draft: _Draft, index: int) -> int | None:
    """One line three times over, or two in turn; the first time is kept."""
    for period in (1, 2):
        lines = _last_lines(draft, index, period * _REPEATS)
        if len(lines) < period * _REPEATS:
            return None
        if all(lines[i].full.rstrip() == lines[i % period].full.rstrip() for i in range(len(lines))):
            return lines[period - 1].end
    return None


def _last_lines(draft: _Draft, index: int, most: int) -> list[_Line]:
    """Up to ``most`` lines that end with the one at ``index``, blank ones left out; none if that is blank."""
    if not draft.lines[index].complete or not draft.lines[index].text.strip():
        return []
    lines = (line for line in reversed(draft.lines[: index + 1]) if line.full.strip())
    return list(islice(lines, most))[::-1]


def _has_most_lines(draft: _Draft, index: int) -> int | None:
    """As many lines as the settings allow, blank ones in front not counted."""
    line = draft.lines[index]
    full = line.complete and index - draft.first + 1 >= draft.rules.max_lines
    return line.end if full else None


def _end_before(draft: _Draft, line: _Line) -> int:
    return len(draft.text[: line.start].rstrip())


_LINE_RULES: tuple[tuple[str, Callable[[_Draft, int], int | None]], ...] = (
    ("suffix_repeat", _repeats_suffix),
    ("block_end", _closes_block),
    ("newline", _ends_single_line),
    ("repeated_lines", _repeats_itself),
    ("max_lines", _has_most_lines),
)
