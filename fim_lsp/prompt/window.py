"""Cut the windows of a document that the model sees, before and after the cursor.

Windows are measured in characters first, so that a megabyte is never tokenised, and then shrunk until their
tokens fit. Both steps depend on the text and the budget alone and move in quarters of the window. So a
window's start stays in place while the user types, and the KV cache from there on stays usable.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator

from attrs import field, frozen

from fim_lsp.settings import PromptSettings
from fim_lsp.types import CompletionRequest

CHARS_PER_TOKEN = 3.2
"""Characters of code to a token, estimated high; windows with too many tokens are shrunk."""
_CHARS_PER_TOKEN_DENSE = 2.0
"""Characters to a token in dense code, an estimate of how many tokens a short prefix needs at most."""
_CHARS_PER_TOKEN_SPARSE = 6
"""Characters to a token in text with long words, an estimate of how far a window may reach at most."""
_STEADY_CHARS = 512
"""Characters after which the first part of a growing text changes."""
_NEWLINE = re.compile("\n")
_SURROGATES = re.compile("[\ud800-\udfff]")
_LINE_END = re.compile(r"\r+\n")

Encode = Callable[[str], tuple[int, ...]]


@frozen
class Window:
    """A part of a document as the model sees it, with its token ids."""

    text: str = field(repr=False)
    ids: tuple[int, ...] = field(repr=False)


def visible(text: str) -> str:
    """Return text as the model sees it: with LF line ends, and U+FFFD for lone surrogates.

    Surrogates have no UTF-8. ``a``, CR, LF, U+D800 -> ``a``, LF, U+FFFD. CR, CR, LF is one line end, too, so
    that a second pass changes nothing.
    """
    lines = _LINE_END.sub("\n", text) if "\r" in text else text
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", lines)


def typed_text(request: CompletionRequest) -> tuple[str, int]:
    """Return document and cursor offset as if the entry selected in the popup had been typed."""
    text, offset = request.document.text, request.offset
    if not request.selected_text:
        return text, offset
    typed = text[:offset] + request.selected_text
    return typed + text[offset:], len(typed)


def middle_bound(settings: PromptSettings) -> int:
    """Return the most characters of an anchored prompt's middle: at most half of the prompt."""
    return min(settings.max_middle_chars, int(settings.max_tokens // 2 * CHARS_PER_TOKEN))


def suffix_budget(tokens: int, prefix_share: float, prefix_chars: int) -> int:
    """Return the suffix's tokens: its own share, and the tokens that a short prefix does not need.

    A quarter is always left to the prefix: at the top of a document it is short until something is typed.

    Args:
        tokens: budget of prefix and suffix together.
        prefix_share: part of it for the prefix, 0 to 1.
        prefix_chars: length of the text before the cursor.
    """
    share = round(tokens * prefix_share)
    needed = quantised(math.ceil(prefix_chars / _CHARS_PER_TOKEN_DENSE), max(1, tokens // 16))
    needed = max(needed, tokens // 4)
    return tokens - share + max(0, share - needed)


def quantised(count: int, step: int) -> int:
    """Round ``count`` up to a multiple of ``step``, so that it changes seldom: 5 in steps of 4 -> 8."""
    return -(-count // step) * step


def prefix_start(text: str, end: int, chars: int) -> int:
    """Return the start of a window of at most ``chars`` characters before ``end``."""
    return next(_prefix_starts(text, end, chars))


def suffix_end(text: str, start: int, chars: int) -> int:
    """Return the end of a window of at most ``chars`` characters from ``start`` on."""
    return next(_suffix_ends(text, start, chars))


def encode_growing(text: str, encode: Encode) -> tuple[int, ...]:
    """Encode a text that grows at its end in two parts, of which the first one seldom changes.

    An encoder that remembers its last texts then tokenises the second part alone, a few lines instead of a
    window of a hundred. The parts meet behind a line break, where the tokens of the whole text may differ by
    one: good enough to count.
    """
    cut = text.rfind("\n", 0, len(text) // _STEADY_CHARS * _STEADY_CHARS) + 1
    return (*(encode(text[:cut]) if cut else ()), *encode(text[cut:]))


def fit_growing_prefix(text: str, end: int, chars: int, tokens: int, encode: Encode) -> Window:
    """Return the same as :func:`fit_prefix`, at less cost; its ids are good for counting only."""
    return fit_prefix(text, end, chars, tokens, lambda window: encode_growing(window, encode))


def fit_prefix(text: str, end: int, chars: int, tokens: int, encode: Encode) -> Window:
    """Return the longest window before ``end`` within ``chars`` and ``tokens``, cut from the left."""
    starts = _prefix_starts(text, end, chars)
    return _first_fitting((visible(text[start:end]) for start in starts), tokens, encode)


def fit_lines(text: str, end: int, tokens: int, encode: Encode) -> Window:
    """Return the most whole lines before ``end`` within ``tokens``; part of a line where none fits.

    It moves with every line, unlike the window of :func:`fit_prefix`, and leaves little of the budget unused.
    """
    first = max(0, end - tokens * _CHARS_PER_TOKEN_SPARSE)
    starts = [found.end() for found in _NEWLINE.finditer(text, first, end)]
    starts = [start for start in ((0, *starts) if first == 0 else starts) if start < end]
    low, best = 0, Window("", ())
    high = len(starts)
    while low < high:
        middle = (low + high) // 2
        window = visible(text[starts[middle] : end])
        ids = encode(window)
        if len(ids) <= tokens:
            best, high = Window(window, ids), middle
        else:
            low = middle + 1
    return best if best.ids else fit_prefix(text, end, int(tokens * CHARS_PER_TOKEN), tokens, encode)


def fit_suffix(text: str, chars: int, tokens: int, encode: Encode) -> Window:
    """Return the longest beginning of ``text`` within ``chars`` and ``tokens``, cut from the right."""
    ends = _suffix_ends(text, 0, chars)
    return _first_fitting((visible(text[:end]) for end in ends), tokens, encode)


def _first_fitting(texts: Iterator[str], tokens: int, encode: Encode) -> Window:
    for text in texts:
        ids = encode(text) if text and tokens > 0 else ()
        if len(ids) <= tokens and (ids or not text):
            return Window(text, ids)
    return Window("", ())


def _prefix_starts(text: str, end: int, chars: int) -> Iterator[int]:
    """Yield later and later starts: on a grid of a quarter window, then on finer ones, each at a line start.

    The grid counts from the beginning of the document, so a start stays in place while ``end`` moves on, and
    a window that is one step too long starts where the next one will.
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
    """Return the first line start from ``cut`` on, or ``cut`` itself inside a very long line."""
    if cut == 0:
        return 0
    newline = text.find("\n", cut - 1, limit)
    return newline + 1 if newline >= 0 else cut


def _suffix_ends(text: str, start: int, chars: int) -> Iterator[int]:
    """Yield earlier and earlier ends, each after a line break.

    The steps are finer than those of starts, because moving a suffix's end makes no evaluated text useless.
    """
    if chars >= len(text) - start:
        yield len(text)
    while chars >= 8:
        step = chars // 8
        for cut in range(min(start + chars, len(text)), start, -step):
            newline = text.rfind("\n", max(start, cut - step), cut)
            yield newline + 1 if newline >= 0 else cut
        chars = step
    yield start
