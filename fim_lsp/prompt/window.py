"""Which part of a document the model sees: pure arithmetic on offsets, before anything is tokenised.

Windows are measured in characters first, so that a megabyte is never tokenised, and then shrunk until their
tokens fit. Both steps depend on the text and the budget alone and move in quarters of the window: while
the user types, a window's start stays where it is, and with it everything evaluated from there on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator

from attrs import field, frozen

from fim_lsp.settings import PromptSettings
from fim_lsp.types import CompletionRequest

CHARS_PER_TOKEN = 3.2
"""Characters of code to a token, on the generous side; windows that turn out too long are shrunk."""
_CHARS_PER_TOKEN_DENSE = 2.0
"""The same for dense code; what one window may lend to the other is reckoned with this."""
_SURROGATES = re.compile("[\ud800-\udfff]")

Encode = Callable[[str], tuple[int, ...]]


@frozen
class Window:
    """A piece of a document as the model sees it."""

    text: str = field(repr=False)
    ids: tuple[int, ...] = field(repr=False)


def visible(text: str) -> str:
    """Text as the model sees it: LF line ends, and U+FFFD for lone surrogates, which have no UTF-8."""
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def typed_text(request: CompletionRequest) -> tuple[str, int]:
    """The document and cursor as if the entry selected in the popup had been typed."""
    text, offset = request.document.text, request.offset
    if not request.selected_text:
        return text, offset
    typed = text[:offset] + request.selected_text
    return typed + text[offset:], len(typed)


def middle_bound(settings: PromptSettings) -> int:
    """How many characters the middle of an anchored prompt may have: at most half of the prompt."""
    return min(settings.max_middle_chars, int(settings.max_tokens // 2 * CHARS_PER_TOKEN))


def suffix_budget(tokens: int, prefix_share: float, prefix_chars: int) -> int:
    """Tokens for the suffix: its share, and what a short prefix leaves of its own."""
    share = round(tokens * prefix_share)
    wanted = quantised(math.ceil(prefix_chars / _CHARS_PER_TOKEN_DENSE), max(1, tokens // 16))
    return tokens - share + max(0, share - wanted)


def quantised(count: int, step: int) -> int:
    """``count`` rounded up to a multiple of ``step``, so that it changes seldom."""
    return -(-count // step) * step


def prefix_start(text: str, end: int, chars: int) -> int:
    """Where a window of at most ``chars`` characters before ``end`` begins."""
    return next(_prefix_starts(text, end, chars))


def suffix_end(text: str, start: int, chars: int) -> int:
    """Where a window of at most ``chars`` characters from ``start`` on ends."""
    return next(_suffix_ends(text, start, chars))


def fit_prefix(text: str, end: int, chars: int, tokens: int, encode: Encode) -> Window:
    """The longest window before ``end`` within ``chars`` and ``tokens``, cut from the left."""
    starts = _prefix_starts(text, end, chars)
    return _first_fitting((visible(text[start:end]) for start in starts), tokens, encode)


def fit_suffix(text: str, chars: int, tokens: int, encode: Encode) -> Window:
    """The longest beginning of ``text`` within ``chars`` and ``tokens``, cut from the right."""
    ends = _suffix_ends(text, 0, chars)
    return _first_fitting((visible(text[:end]) for end in ends), tokens, encode)


def _first_fitting(texts: Iterator[str], tokens: int, encode: Encode) -> Window:
    for text in texts:
        ids = encode(text) if text and tokens > 0 else ()
        if len(ids) <= tokens and (ids or not text):
            return Window(text, ids)
    return Window("", ())


def _prefix_starts(text: str, end: int, chars: int) -> Iterator[int]:
    """Ever later starts: on a grid of a quarter window, then on finer ones, each at a line start.

    The grid counts from the beginning of the document, so a start stays put while ``end`` moves on, and a
    window that is a step too long starts where the next one will.
    """
    if end <= chars:
        yield 0
    while chars >= 4:
        step = chars // 4
        first = quantised(max(0, end - chars), step)
        for cut in range(first, end, step):
            yield _line_start(text, cut, min(cut + step, end - 1))
        chars = step
    yield end


def _line_start(text: str, cut: int, limit: int) -> int:
    """The first line start from ``cut`` on, or ``cut`` itself inside of a very long line."""
    if cut == 0:
        return 0
    newline = text.find("\n", cut - 1, limit)
    return newline + 1 if newline >= 0 else cut


def _suffix_ends(text: str, start: int, chars: int) -> Iterator[int]:
    """Ever earlier ends, each after a line break; finer steps, as nothing behind a suffix could be reused."""
    if chars >= len(text) - start:
        yield len(text)
    while chars >= 8:
        step = chars // 8
        for cut in range(min(start + chars, len(text)), start, -step):
            newline = text.rfind("\n", max(start, cut - step), cut)
            yield newline + 1 if newline >= 0 else cut
        chars = step
    yield start
