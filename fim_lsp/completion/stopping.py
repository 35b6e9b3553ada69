"""Decide after every token whether a generation is complete, while the text streams.

A :class:`StopCheck` reads one candidate token by token and looks only at the lines that are new. What a
finished text still needs is done by ``filters``; end-of-generation tokens and FIM markers are the engine's
business.
"""

from __future__ import annotations

from collections import deque

from attrs import define, field

from fim_lsp.completion.stop_rules import (
    LINE_RULES,
    Draft,
    Stop,
    StopRules,
    StreamedLine,
    TextBlock,
    find_block,
)

_VARIETY_TOKENS, _FEWEST_DISTINCT = 24, 3
"""Tokens whose variety is watched, and the distinct texts among them below which the model is in a loop."""
_INTERRUPTION_MS, _INTERRUPTION_FACTOR = 1000.0, 10.0
"""A token counts as this time at most, or as so many times the mean of those before: beyond both, the machine
slept, or the process was stopped."""
TAIL_TOKENS = 6
"""Tokens whose mean probability is watched: about one short name and the signs around it."""


@define
class StopCheck:
    """Checks the text of one candidate as it arrives.

    Complete lines that ended nothing are not looked at again: no rule needs more than what stood in front of
    a line to decide about it.
    """

    rules: StopRules
    text: str = ""
    """Everything that has arrived."""
    _lines: list[StreamedLine] = field(factory=list, init=False, repr=False)
    _checked: int = field(default=0, init=False)
    """Lines that are complete and ended nothing."""
    _first: int | None = field(default=None, init=False)
    """Index of the first line that isn't blank."""
    _block: TextBlock | None = field(default=None, init=False)
    """The block that the text is in, once it is certain."""
    _words: deque[tuple[str, int]] = field(
        factory=lambda: deque(maxlen=_VARIETY_TOKENS), init=False, repr=False
    )
    """The last tokens with a letter or digit, and the positions behind them."""
    _tail: deque[float] = field(factory=lambda: deque(maxlen=TAIL_TOKENS), init=False, repr=False)
    _tokens: int = field(default=0, init=False)
    _worked_ms: float = field(default=0.0, init=False)
    """Milliseconds of all tokens, without interruptions."""
    _elapsed_ms: float = field(default=0.0, init=False)

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
        self._take_time(elapsed_ms)
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
        if self._worked_ms >= self.rules.time_budget_ms:
            return Stop(end_of_whole_lines(self.text), "time_budget")
        return None

    def _take_time(self, elapsed_ms: float) -> None:
        """Add the time of a token, without an interruption that was in it."""
        took_ms, self._elapsed_ms = elapsed_ms - self._elapsed_ms, elapsed_ms
        mean_ms = self._worked_ms / self._tokens if self._tokens else 0.0
        self._worked_ms += min(took_ms, max(_INTERRUPTION_MS, _INTERRUPTION_FACTOR * mean_ms))
        self._tokens += 1

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
            self._lines.append(StreamedLine(start, part, full, start + len(part) < len(self.text)))
            start += len(part) + 1

    def _check_lines(self) -> Stop | None:
        if self._first is None:
            self._first = next((index for index, line in enumerate(self._lines) if line.text.strip()), None)
        first = len(self._lines) if self._first is None else self._first
        block = self._block or find_block(self._lines, first, self.rules)
        draft = Draft(self.text, self.rules, self._lines, first, block)
        for index in range(self._checked, len(self._lines)):
            for name, rule in LINE_RULES:
                keep = rule(draft, index)
                if keep is not None:
                    return Stop(keep, name)
        self._checked = len(self._lines) - 1
        if block.certain:
            self._block = block
        return None


def end_of_whole_lines(text: str) -> int:
    """Return the end of the last whole line, or of the text while there is none.

    Example: of ``a = 1``, a line break and ``b =`` it is 5.
    """
    whole = text[: text.rfind("\n") + 1].rstrip()
    return len(whole) or len(text)
