"""Where prefix ends and middle begins, and when that may move: pure, from one keystroke to the next.

A prompt that ends in suffix and middle marker is evaluated anew at every keystroke, because each typed
character moves the suffix. So the boundary stays at an anchor, a line start, with the text around it frozen,
and what is typed since goes behind the middle marker. A template that puts the suffix first needs only the
frozen suffix. Brackets and quotes that the editor closes by itself are not part of a frozen suffix.

An anchor ages before it is lost, so that a prompt on a new one can be evaluated while the user works on the
old one: once half of the middle is used up, and, where the suffix comes first, while the cursor goes down a
few lines into the frozen suffix.
"""

from __future__ import annotations

import math
import re

from attrs import evolve, field, frozen

from fim_lsp.gguf_keys import ANCHORED_MIDDLES
from fim_lsp.prompt.window import (
    CHARS_PER_TOKEN,
    middle_bound,
    prefix_start,
    suffix_budget,
    suffix_end,
    typed_text,
    visible,
)
from fim_lsp.settings import PromptSettings
from fim_lsp.types import CompletionRequest, FimTemplate, ModelInfo

_CLOSERS_ROOM = 256
"""Characters that auto-closed brackets, with the line breaks and indentation between them, may take."""
_TRUNCATED = 256
"""Strings of one length, at least this, are taken for windows of something longer."""
_PAIRS = {"(": ")", "[": "]", "{": "}"}
_QUOTES = ('"""', "'''", '"', "'", "`")
_TOKENS = re.compile(r"\\.|\"\"\"|'''|[()\[\]{}\"'`\n]", re.DOTALL)
_CLOSERS = re.compile(r"[)\]}\"'`\s]*")


@frozen
class Anchor:
    """The frozen surroundings of the text being typed. Offsets are code points of the document."""

    uri: str
    template: str
    """Name of the template; empty for prefix-only completion."""
    settings: PromptSettings = field(repr=False)
    """The settings that it was made under; other budgets need another anchor."""
    start: int
    """Where the prefix window begins."""
    offset: int
    """Where the middle begins: a line start, except in a line longer than the middle may be."""
    prefix: str = field(repr=False)
    """The prefix window up to :attr:`offset`, as the model sees it."""
    suffix: str = field(repr=False)
    """The suffix window, as the model sees it."""
    suffix_chars: int
    """Length of the suffix window in the document, before line ends were normalised."""
    suffix_tokens: int
    """The suffix's part of the budget, frozen as well: it depends on how long the prefix was."""
    reaches_end: bool
    """Whether the suffix window reaches the end of the document."""
    beyond: int
    """Length of the document behind the suffix window."""


def decided(settings: PromptSettings, info: ModelInfo) -> PromptSettings:
    """The settings with the layout chosen where it is left to us: anchored for models that learnt it.

    For those it is the better one, too (``python -m benchmarks.staleness``); of others nothing is known.
    """
    if settings.layout != "auto":
        return settings
    learnt = info.metadata.get(ANCHORED_MIDDLES, "").lower() == "true"
    return evolve(settings, layout="anchored" if learnt else "plain")


def next_anchor(
    previous: Anchor | None,
    request: CompletionRequest,
    template: FimTemplate | None,
    settings: PromptSettings,
) -> Anchor:
    """The same anchor if the cursor got here by typing on from it, else a new one.

    It moves when the cursor leaves its range, the middle outgrows ``settings.max_middle_chars``, text before
    it or in the suffix window changes (beyond auto-closed brackets), or template or settings change. Where
    the suffix comes first, the cursor may go down into it by ``settings.max_stale_chars``.
    """
    text, cursor = typed_text(request)
    if (
        previous is not None
        and previous.uri == request.document.uri
        and previous.template == _name(template)
        and previous.settings == settings
        and (_holds(previous, text, cursor) or (_suffix_first(template) and _lags(previous, text, cursor)))
    ):
        return previous
    return _anchor_at(request.document.uri, text, cursor, template, settings)


def is_ageing(anchor: Anchor, request: CompletionRequest) -> bool:
    """Whether an anchor that still serves ``request`` should be replaced while nobody waits."""
    text, cursor = typed_text(request)
    return not _holds(anchor, text, cursor) or cursor - anchor.offset > middle_bound(anchor.settings) // 2


def suffix_agrees(typed: str, now: str, then: str) -> bool:
    """Whether the suffix is still the same, apart from what the editor closed by itself.

    Args:
        typed: what was typed between ``then`` and ``now``.
        now: the text after the cursor.
        then: the text after the cursor before ``typed`` was typed.

    True if both are equal, or ``now`` is ``then`` with closing brackets and quotes before it that match
    those left open in ``typed``. Whitespace between closers counts as part of them (Enter between two
    braces). Pass windows, not whole documents; of windows of one length, the end of ``then`` that
    the closers pushed out of ``now`` isn't compared.
    """
    if now == then:
        return True
    extra = len(now) - len(then)
    if extra > 0:
        return now.endswith(then) and _closes(now[:extra], typed)
    if extra < 0 or len(now) < _TRUNCATED:
        return False
    return any(then.startswith(now[count:]) and _closes(now[:count], typed) for count in _closer_runs(now))


def _holds(anchor: Anchor, text: str, cursor: int) -> bool:
    """Whether the cursor was reached by typing on from the anchor."""
    if not anchor.offset <= cursor <= anchor.offset + middle_bound(anchor.settings):
        return False
    if visible(text[anchor.start : anchor.offset]) != anchor.prefix:
        return False
    typed = visible(text[anchor.offset : cursor])
    now = visible(text[cursor : cursor + anchor.suffix_chars + _CLOSERS_ROOM])
    if anchor.reaches_end:
        return suffix_agrees(typed, now, anchor.suffix)
    return now.startswith(anchor.suffix) or any(
        now.startswith(anchor.suffix, count) and _closes(now[:count], typed) for count in _closer_runs(now)
    )


def _lags(anchor: Anchor, text: str, cursor: int) -> bool:
    """Whether the cursor went down, and not too far, into a suffix that is unchanged from there on."""
    left = visible(text[cursor : max(cursor, len(text) - anchor.beyond)])
    passed = len(anchor.suffix) - len(left)
    return (
        cursor >= anchor.offset
        and 0 <= passed <= anchor.settings.max_stale_chars
        and (bool(left) or anchor.reaches_end)
        and anchor.suffix.endswith(left)
    )


def _anchor_at(
    uri: str, text: str, cursor: int, template: FimTemplate | None, settings: PromptSettings
) -> Anchor:
    bound = middle_bound(settings)
    offset = _anchor_offset(text, cursor, bound)
    suffix_tokens = suffix_budget(settings.max_tokens, settings.prefix_share, offset)
    end = suffix_end(text, cursor, int(suffix_tokens * CHARS_PER_TOKEN))
    suffix_chars = end - cursor
    prefix_chars = int((settings.max_tokens * CHARS_PER_TOKEN) - suffix_chars - bound)
    start = prefix_start(text, offset, prefix_chars)
    return Anchor(
        uri=uri,
        template=_name(template),
        settings=settings,
        start=start,
        offset=offset,
        prefix=visible(text[start:offset]),
        suffix=visible(text[cursor:end]),
        suffix_chars=suffix_chars,
        suffix_tokens=suffix_tokens,
        reaches_end=end == len(text),
        beyond=len(text) - end,
    )


def _anchor_offset(text: str, cursor: int, bound: int) -> int:
    """The start of the cursor's line, or a point on a grid where the line is longer than the bound."""
    newline = text.rfind("\n", max(0, cursor - bound - 1), cursor)
    if newline >= 0 or cursor <= bound:
        return newline + 1
    return cursor - cursor % max(1, math.ceil(bound / 2))


def _suffix_first(template: FimTemplate | None) -> bool:
    return template is not None and template.order == "suffix_first"


def _name(template: FimTemplate | None) -> str:
    return template.name if template is not None else ""


def _closer_runs(now: str) -> range:
    """How many characters at the beginning of ``now`` could be what an editor closed: each count."""
    run = _CLOSERS.match(now, 0, _CLOSERS_ROOM)
    return range(1, (run.end() if run else 0) + 1)


def _closes(extra: str, typed: str) -> bool:
    """Whether ``extra`` consists of closers that match what ``typed`` left open, in their order."""
    if not extra or extra[-1].isspace() or len(extra) > _CLOSERS_ROOM:
        return False
    # A subsequence, because an editor may close brackets but not quotes.
    closers = iter(_open_closers(typed))
    return all(char in closers for char in extra if not char.isspace())


def _open_closers(typed: str) -> str:
    """What would close the brackets and quotes left open in ``typed``, the innermost first.

    Brackets inside of quotes count too: editors close them there as well.
    """
    stack: list[str] = []
    for match in _TOKENS.finditer(typed):
        token = match.group()
        if token in _PAIRS:
            stack.append(_PAIRS[token])
        elif token in _QUOTES:
            _quote(stack, token)
        elif token == "\n":
            # An apostrophe in a comment opens nothing on the next line.
            stack = [closer for closer in stack if closer not in ("'", '"')]
        elif stack and stack[-1] == token:
            stack.pop()
    return "".join(reversed(stack))


def _quote(stack: list[str], quote: str) -> None:
    """Open a quote, or close the one that is open and with it all that was opened inside."""
    if quote in stack:
        del stack[stack.index(quote) :]
    else:
        stack.append(quote)
