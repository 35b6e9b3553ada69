"""Decide after every token whether a generation is complete, while the text streams.

A :class:`StopCheck` reads one candidate token by token and looks only at the lines that are new. What a
finished text still needs is done by ``filters``; end-of-generation tokens and FIM markers are the engine's
business.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from attrs import define, field, frozen

from fim_lsp.code.brackets import pair
from fim_lsp.code.cursor import CursorContext
from fim_lsp.code.lines import indent_width, only_closers
from fim_lsp.completion.filters.align_first_line import align_first_line
from fim_lsp.completion.non_code import FENCE, find_marker, has_fences
from fim_lsp.completion.repetition import find_period, repeats_next_line
from fim_lsp.settings import CompletionSettings

_VARIETY_TOKENS, _FEWEST_DISTINCT = 24, 3
"""Tokens whose variety is watched, and the distinct texts among them below which the model is in a loop."""
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


# --- The text as it arrives


@frozen
class _StreamedLine:
    start: int
    """Position of the line's beginning in the text."""
    text: str
    full: str
    """With what the cursor's line had before the cursor, for the first line."""
    complete: bool
    """True once its line break has come."""

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@define
class StopCheck:
    """Checks the text of one candidate as it arrives.

    Complete lines that ended nothing are not looked at again: no rule needs more than what stood in front of
    a line to decide about it.
    """

    rules: StopRules
    text: str = ""
    """Everything that has arrived."""
    _lines: list[_StreamedLine] = field(factory=list, init=False, repr=False)
    _checked: int = field(default=0, init=False)
    """Lines that are complete and ended nothing."""
    _first: int | None = field(default=None, init=False)
    """Index of the first line that isn't blank."""
    _block: _TextBlock | None = field(default=None, init=False)
    """The block that the text is in, once it is certain."""
    _words: deque[tuple[str, int]] = field(
        factory=lambda: deque(maxlen=_VARIETY_TOKENS), init=False, repr=False
    )
    """The last tokens with a letter or digit, and the positions behind them."""
    _tail: deque[float] = field(factory=lambda: deque(maxlen=TAIL_TOKENS), init=False, repr=False)

    def add(self, text: str, probability: float, elapsed_ms: float) -> Stop | None:
        """Take the text of one more token.

        Args:
            text: what the token adds; may be empty.
            probability: the model's probability for the token, 0 to 1.
            elapsed_ms: milliseconds since the prompt was evaluated.

        Returns:
            What to keep, or None to go on. Of several rules the one that applies to the earliest line wins.
        """
        self.text += text
        self._tail.append(probability)
        if text:
            self._split()
            stop = self._check_lines()
            if stop is not None:
                return stop
            end = self._end_of_loop(text)
            if end is not None:
                return Stop(end, "low_variety")
        if len(self._tail) == TAIL_TOKENS and sum(self._tail) < self.rules.stop_below * TAIL_TOKENS:
            return Stop(end_of_whole_lines(self.text), "low_probability")
        if elapsed_ms >= self.rules.time_budget_ms:
            return Stop(end_of_whole_lines(self.text), "time_budget")
        return None

    def _end_of_loop(self, text: str) -> int | None:
        """Return the end of the words that the last tokens are over and over, if they are so few."""
        if any(map(str.isalnum, text)):
            self._words.append((text, len(self.text)))
        distinct = {word for word, _ in self._words}
        if len(self._words) < _VARIETY_TOKENS or len(distinct) >= _FEWEST_DISTINCT:
            return None
        return self._words[len(distinct) - 1][1]

    def _split(self) -> None:
        """Bring the list of lines up to date, from the first line that is not checked yet."""
        start = self._lines[self._checked].start if self._checked < len(self._lines) else len(self.text)
        if not self._lines:
            start = 0
        del self._lines[self._checked :]
        for part in self.text[start:].split("\n"):
            full = part if self._lines else self.rules.context.line_prefix + part
            self._lines.append(_StreamedLine(start, part, full, start + len(part) < len(self.text)))
            start += len(part) + 1

    def _check_lines(self) -> Stop | None:
        if self._first is None:
            self._first = next((index for index, line in enumerate(self._lines) if line.text.strip()), None)
        first = len(self._lines) if self._first is None else self._first
        block = self._block or _find_block(self._lines, first, self.rules)
        draft = _Draft(self.text, self.rules, self._lines, first, block)
        for index in range(self._checked, len(self._lines)):
            for name, rule in _LINE_RULES:
                keep = rule(draft, index)
                if keep is not None:
                    return Stop(keep, name)
        self._checked = len(self._lines) - 1
        if block.certain:
            self._block = block
        return None


@frozen
class _TextBlock:
    """The block that the text is in."""

    floor: int
    """The indentation that the block began at, in columns."""
    header: int | None = None
    """The indentation of the header that the cursor's line turned out to be, whose closers may still come."""
    certain: bool = False
    """True once no later line can change it."""


@frozen
class _Draft:
    """The text so far, as the rules see it."""

    text: str
    rules: StopRules
    lines: Sequence[_StreamedLine]
    first: int
    """Index of the first line that isn't blank."""
    block: _TextBlock


def _find_block(lines: Sequence[_StreamedLine], first: int, rules: StopRules) -> _TextBlock:
    """Find the indentation that the text's block began at, and that of its header.

    A text that goes on with a line already begun is in that line's block, or, if the lines after it are
    deeper, in the block that this line opens: then the block began one level deeper. On a blank line the
    text's own first line tells where it is. At top level the floor is 0, and nothing can fall below.
    """
    tab_size = rules.context.tab_size
    if not rules.context.line_prefix.strip():
        if first >= len(lines):
            return _TextBlock(0)
        aligned = align_first_line(lines[0].text, rules.context)
        line = lines[first].full if first else rules.context.line_prefix + aligned
        return _TextBlock(indent_width(line, tab_size), certain=True)
    own = indent_width(lines[0].full, tab_size)
    body_line = next((line for line in lines[1:] if line.text.strip(" \t{")), None)
    body = own if body_line is None else indent_width(body_line.text, tab_size)
    certain = body_line is not None and body_line.complete
    if body > own:
        return _TextBlock(own + 1, own, certain)
    return _TextBlock(own if first == 0 else min(own, body), certain=certain)


def end_of_whole_lines(text: str) -> int:
    """Return the end of the last whole line, or of the text while there is none.

    Example: of ``a = 1``, a line break and ``b =`` it is 5.
    """
    whole = text[: text.rfind("\n") + 1].rstrip()
    return len(whole) or len(text)


# --- Rules: each returns how much to keep if the line at ``index`` ends the text


def _repeats_suffix(draft: _Draft, index: int) -> int | None:
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


def _closes_own(draft: _Draft, line: _StreamedLine, cut: int) -> bool:
    """Tell whether a bracket that the text opened before ``cut`` is closed on the rest of the line."""
    marks = draft.rules.context.scan_inserted(draft.text[: line.end]).marks
    return pair(marks).across(cut) > 0


def _leaves_block(draft: _Draft, index: int) -> int | None:
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


def _ends_single_line(draft: _Draft, index: int) -> int | None:
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


def _spells_marker(draft: _Draft, index: int) -> int | None:
    """End before a marker that the model spells as text.

    Example: the text ``x + 1<|endoftext|>`` keeps ``x + 1``.
    """
    line = draft.lines[index]
    start = find_marker(line.text, draft.rules.context) if "<" in line.text or "[" in line.text else None
    return None if start is None else line.start + start


def _ends_in_fence(draft: _Draft, index: int) -> int | None:
    r"""End before a fence behind the code: an explanation follows.

    Example: the text ``"x = 1\n```\nThis"`` keeps ``"x = 1"``.
    """
    line = draft.lines[index]
    if index <= draft.first or not line.text.lstrip().startswith(FENCE) or has_fences(draft.rules.context):
        return None
    return _end_before(draft, line)


def _repeats_within_line(draft: _Draft, index: int) -> int | None:
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


def _repeats_itself(draft: _Draft, index: int) -> int | None:
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


def _last_lines(draft: _Draft, index: int, most: int) -> list[_StreamedLine]:
    """Return up to ``most`` filled lines that end with the one at ``index``; none if that one is blank."""
    if not draft.lines[index].complete or not draft.lines[index].text.strip():
        return []
    before = (draft.lines[i] for i in range(index, -1, -1))
    return list(islice((line for line in before if line.full.strip()), most))[::-1]


def _has_most_lines(draft: _Draft, index: int) -> int | None:
    r"""End after as many lines as the settings allow, blank ones in front not counted.

    Example: with ``maxLines`` 1 the text ``"\na = 1\n"`` keeps ``"\na = 1"``.
    """
    line = draft.lines[index]
    full = line.complete and index - draft.first + 1 >= draft.rules.max_lines
    return line.end if full else None


def _end_before(draft: _Draft, line: _StreamedLine) -> int:
    return len(draft.text[: line.start].rstrip())


_LINE_RULES: tuple[tuple[str, Callable[[_Draft, int], int | None]], ...] = (
    ("marker", _spells_marker),
    ("fence", _ends_in_fence),
    ("suffix_repeat", _repeats_suffix),
    ("block_end", _leaves_block),
    ("newline", _ends_single_line),
    ("repeated_lines", _repeats_itself),
    ("repeated_phrase", _repeats_within_line),
    ("max_lines", _has_most_lines),
)
