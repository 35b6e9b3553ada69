"""The rules that end a generation: each looks at one line of the text so far. Pure.

``stopping`` runs them after every token. To add a rule, write it here and list it in ``LINE_RULES``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import islice

from attrs import frozen

from fim_lsp.code.brackets import pair
from fim_lsp.code.cursor import CursorContext
from fim_lsp.code.lines import indent_width, only_closers
from fim_lsp.completion.filters.align_first_line import align_first_line
from fim_lsp.completion.non_code import FENCE, find_marker, has_fences
from fim_lsp.completion.repetition import find_period, repeats_next_line
from fim_lsp.settings import CompletionSettings

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
    """The end of a generation."""

    keep: int
    """Characters of the text to keep."""
    rule: str
    """Which rule ended it, for ``fimLsp.explain``."""


@frozen
class StopRules:
    """The facts that the rules compare with during one generation. Built once by :func:`make_stop_rules`."""

    context: CursorContext
    multiline: bool
    max_lines: int
    stop_below: float
    """Mean probability of the last tokens, 0 to 1, below which the text ends."""
    time_budget_ms: float
    levels_above: tuple[int, ...]
    """Indentations of the blocks around the cursor, innermost first, in columns."""
    levels_below: tuple[tuple[int, str], ...]
    """Lines that close those blocks or come after them: the first line at each lower indentation."""


def make_stop_rules(context: CursorContext, settings: CompletionSettings, *, multiline: bool) -> StopRules:
    """Collect what the rules compare with, so that no token costs a look around the cursor."""
    above = [context.line_prefix, *reversed(context.lines_above)]
    return StopRules(
        context=context,
        multiline=multiline,
        max_lines=settings.max_lines,
        stop_below=settings.stop_below,
        time_budget_ms=settings.time_budget_ms,
        levels_above=tuple(level for level, _ in _find_levels(above, context.tab_size)),
        levels_below=_find_levels(context.lines_below, context.tab_size),
    )


def _find_levels(lines: Sequence[str], tab_size: int) -> tuple[tuple[int, str], ...]:
    """Return the lines that are indented less than every line before them, blank ones apart."""
    levels: list[tuple[int, str]] = []
    for line in lines:
        indent = indent_width(line, tab_size)
        if line.strip() and (not levels or indent < levels[-1][0]):
            levels.append((indent, line.strip()))
    return tuple(levels)


# --- The text so far


@frozen
class StreamedLine:
    """A line of the text so far."""

    start: int
    """Position of the line's beginning in the text."""
    text: str
    full: str
    """With what the cursor's line had before the cursor, for the first line."""
    complete: bool
    """True once its line break has come."""

    @property
    def end(self) -> int:
        """Position of the line's end in the text, without its line break."""
        return self.start + len(self.text)


@frozen
class TextBlock:
    """The block that the text is in."""

    floor: int
    """The indentation that the block began at, in columns."""
    header: int | None = None
    """The indentation of the header that the cursor's line turned out to be, whose closers may still come."""
    certain: bool = False
    """True once no later line can change it."""


@frozen
class Draft:
    """The text so far, as the rules see it."""

    text: str
    rules: StopRules
    lines: Sequence[StreamedLine]
    first: int
    """Index of the first line that isn't blank."""
    block: TextBlock


def find_block(lines: Sequence[StreamedLine], first: int, rules: StopRules) -> TextBlock:
    """Find the indentation that the text's block began at, and that of its header.

    A text that goes on with a line already begun is in that line's block, or, if the lines after it are
    deeper, in the block that this line opens: then the block began one level deeper. On a blank line the
    text's own first line tells where it is. At top level the floor is 0, and nothing can fall below.
    """
    tab_size = rules.context.tab_size
    if not rules.context.line_prefix.strip():
        if first >= len(lines):
            return TextBlock(0)
        aligned = align_first_line(lines[0].text, rules.context)
        line = lines[first].full if first else rules.context.line_prefix + aligned
        return TextBlock(indent_width(line, tab_size), certain=True)
    own = indent_width(lines[0].full, tab_size)
    body_line = next((line for line in lines[1:] if line.text.strip(" \t{")), None)
    body = own if body_line is None else indent_width(body_line.text, tab_size)
    certain = body_line is not None and body_line.complete
    if body > own:
        return TextBlock(own + 1, own, certain)
    return TextBlock(own if first == 0 else min(own, body), certain=certain)


# --- Rules: each returns how much to keep if the line at ``index`` ends the text


def _repeats_suffix(draft: Draft, index: int) -> int | None:
    r"""End where a line of the suffix has come again: the rest of the cursor's line, or the next line.

    A line that repeats the next one is cut off. One that ends in the rest of the cursor's line is kept, since
    the replace range or a filter takes the repeated part.

    Example: above ``return x`` the text ``"y = 1\nreturn x\n"`` keeps ``"y = 1"``.
    """
    line, context = draft.lines[index], draft.rules.context
    if not line.complete or not line.text.strip():
        return None
    line_suffix = context.line_suffix.lstrip()
    if line_suffix and line.text.rstrip().endswith(line_suffix):
        cut = len(draft.text[: line.end].rstrip()) - len(line_suffix)
        is_whole = index == 0 or line.text.strip() == line_suffix
        if index == 0 and line.text.strip() == line_suffix and context.line_prefix.strip():
            return None  # the text begins with the rest of the line, and may go on below
        if is_whole and not _closes_own(draft, line, cut):
            return line.end
    if context.next_line and repeats_next_line(line.text, line.start, context):
        return None if _closes_own(draft, line, line.start) else _end_before(draft, line)
    return None


def _closes_own(draft: Draft, line: StreamedLine, cut: int) -> bool:
    """Tell whether a bracket that the text opened before ``cut`` is closed on the rest of the line."""
    marks = draft.rules.context.scan_inserted(draft.text[: line.end]).marks
    return pair(marks).across(cut) > 0


def _leaves_block(draft: Draft, index: int) -> int | None:
    r"""End where the block that the text began in is over.

    A bare closer exactly one level below (``}``, ``end``) is kept if the suffix lacks it: then the user has
    opened that block by hand, and wants it closed. The text's first line is never cut: nothing would be left.

    Example: inside a function the text ``"x = 1\n\ndef g():"`` keeps ``"x = 1"``.
    """
    line, rules, block = draft.lines[index], draft.rules, draft.block
    words = line.text.strip()
    if index <= draft.first or not words:
        return None
    indent = indent_width(line.text, rules.context.tab_size)
    if indent >= block.floor:
        return None
    if not line.complete and _UNDECIDED.fullmatch(words):
        return None
    closes = _BEGINS_WITH_CLOSER.match(words) is not None and not _suffix_closes(rules, indent)
    if indent == block.header:
        return None if closes or _CONTINUES.match(words) else _end_before(draft, line)
    enclosing = next((level for level in rules.levels_above if level < block.floor), None)
    if closes and indent == enclosing and _CLOSER.fullmatch(words):
        return line.end if line.complete else None
    return _end_before(draft, line)


def _suffix_closes(rules: StopRules, indent: int) -> bool:
    """Tell whether the block at ``indent`` is closed below the cursor already."""
    return any(level == indent and _BEGINS_WITH_CLOSER.match(line) for level, line in rules.levels_below)


def _ends_single_line(draft: Draft, index: int) -> int | None:
    r"""End at the first line break behind text, in single-line mode.

    Line breaks before any text are let through: the cursor's line is complete, and the user wants to see the
    next one. Not so with code after the cursor, unless the cursor is before all of it: then that code moves
    down, to the indentation that the model gives it.

    Example: the text ``"x = 1\ny"`` keeps ``"x = 1"``.
    """
    rules, line = draft.rules, draft.lines[index]
    if rules.multiline:
        return None
    line_suffix = rules.context.line_suffix.lstrip()
    if not line_suffix:
        return line.end if line.complete and draft.first <= index else None
    if rules.context.line_prefix.strip() or only_closers(line_suffix):
        return line.end if line.complete else None
    indent = len(line.text) - len(line.text.lstrip())
    return line.start + indent if index > draft.first and line.text.strip() else None


def _spells_marker(draft: Draft, index: int) -> int | None:
    """End before a marker that the model spells as text.

    Example: the text ``x + 1<|endoftext|>`` keeps ``x + 1``.
    """
    line = draft.lines[index]
    start = find_marker(line.text, draft.rules.context) if "<" in line.text or "[" in line.text else None
    return None if start is None else line.start + start


def _ends_in_fence(draft: Draft, index: int) -> int | None:
    r"""End before a fence behind the code: an explanation follows.

    Example: the text ``"x = 1\n```\nThis"`` keeps ``"x = 1"``.
    """
    line = draft.lines[index]
    if index <= draft.first or not line.text.lstrip().startswith(FENCE) or has_fences(draft.rules.context):
        return None
    return _end_before(draft, line)


def _repeats_within_line(draft: Draft, index: int) -> int | None:
    """End where a phrase has come over and over within a line; keep it once.

    Example: the text ``util.o util.o util.o util.o util.o`` keeps ``util.o``.
    """
    line = draft.lines[index]
    found = find_period(line.text)
    if found is None:
        return None
    start, period = found
    kept = line.text[: start + period].rstrip(" \t,;")
    return line.start + len(kept)


def _repeats_itself(draft: Draft, index: int) -> int | None:
    r"""End where one line has come three times, or two in turn; keep them once.

    Example: the text ``"a()\na()\na()\n"`` keeps ``"a()"``.
    """
    for period in (1, 2):
        lines = _last_lines(draft, index, period * _REPEATS)
        if len(lines) < period * _REPEATS:
            return None
        if all(lines[i].full.rstrip() == lines[i % period].full.rstrip() for i in range(len(lines))):
            return lines[period - 1].end
    return None


def _last_lines(draft: Draft, index: int, most: int) -> list[StreamedLine]:
    """Return up to ``most`` filled lines that end with the one at ``index``; none if that one is blank."""
    if not draft.lines[index].complete or not draft.lines[index].text.strip():
        return []
    before = (draft.lines[i] for i in range(index, -1, -1))
    return list(islice((line for line in before if line.full.strip()), most))[::-1]


def _has_most_lines(draft: Draft, index: int) -> int | None:
    r"""End after as many lines as the settings allow, blank ones in front not counted.

    Example: with ``maxLines`` 1 the text ``"\na = 1\n"`` keeps ``"\na = 1"``.
    """
    line = draft.lines[index]
    full = line.complete and index - draft.first + 1 >= draft.rules.max_lines
    return line.end if full else None


def _end_before(draft: Draft, line: StreamedLine) -> int:
    return len(draft.text[: line.start].rstrip())


LINE_RULES: tuple[tuple[str, Callable[[Draft, int], int | None]], ...] = (
    ("marker", _spells_marker),
    ("fence", _ends_in_fence),
    ("suffix_repeat", _repeats_suffix),
    ("block_end", _leaves_block),
    ("newline", _ends_single_line),
    ("repeated_lines", _repeats_itself),
    ("repeated_phrase", _repeats_within_line),
    ("max_lines", _has_most_lines),
)
