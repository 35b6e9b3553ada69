"""Keep the boundary between prefix and middle in place while the user types.

In a prompt that ends with suffix and middle marker, each typed character moves the suffix, so that the model
has to evaluate suffix and marker again at every keystroke. An anchor avoids this. It is a line start at which
the prefix ends, with the text before it and the suffix frozen; the text typed since then stands behind the
middle marker, at the end of the prompt. After ``x = 1`` and after ``x = 10``, the prompt is::

    [PRE] lines above [SUF] lines below [MID] x = 1
    [PRE] lines above [SUF] lines below [MID] x = 10

A template that puts the suffix first needs the frozen suffix only. Brackets and quotes that the editor closes
by itself are not part of a frozen suffix.

An anchor should be renewed before it stops being usable, so that the prompt on the new one can be evaluated
while the user works on the old one: when the middle has some length (half of its bound, or a few lines for a
model that we did not train), and, in a template that puts the suffix first, while the cursor moves down into
the frozen suffix.
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
"""Most characters of auto-closed brackets, with the line breaks and indentation between them."""
_FEW_LINES = 120
"""Characters."""
_TRUNCATED = 256
"""Two strings of the same length, at least this one, are taken for windows of longer texts."""
_PAIRS = {"(": ")", "[": "]", "{": "}"}
_QUOTES = ('"""', "'''", '"', "'", "`")
_TOKENS = re.compile(r"\\.|\"\"\"|'''|[()\[\]{}\"'`\n]", re.DOTALL)
_CLOSERS = re.compile(r"[)\]}\"'`\s]*")


@frozen
class Anchor:
    """The frozen text around the text being typed. Offsets are code points of the document."""

    uri: str
    template: str
    """Name of the template; empty for prefix-only completion."""
    settings: PromptSettings = field(repr=False)
    """The settings at that time; other budgets need another anchor."""
    start: int
    """Offset of the prefix window."""
    offset: int
    """Offset of the middle: a line start, except in a line longer than the middle may be."""
    prefix: str = field(repr=False)
    """The prefix window up to :attr:`offset`, as the model sees it."""
    suffix: str = field(repr=False)
    """The suffix window, as the model sees it."""
    suffix_chars: int
    """Length of the suffix window in the document, before line ends were normalised."""
    suffix_tokens: int
    """Tokens for the suffix. Frozen as well, because they depend on the prefix's length at that time."""
    reaches_end: bool
    """True if the suffix window reaches the end of the document."""
    beyond: int
    """Length of the document behind the suffix window."""


def resolve_layout(settings: PromptSettings, info: ModelInfo, template: FimTemplate | None) -> PromptSettings:
    """Replace ``auto`` by a layout, and null by the length at which a middle is renewed.

    Training to fill in the middle predicts each token of a middle from prefix, suffix and the middle so far.
    So a middle of which the beginning is given is what every model with that order was trained on. Unlike the
    middles of our own training, those of others need not begin at a line start or be as long as one types
    between two pauses, and they were not measured: they are kept short.
    """
    layout, renewed_at = settings.layout, settings.renew_middle_chars
    suffix_last = template is not None and template.order == "psm"
    if layout == "auto":
        layout = "anchored" if suffix_last else "plain"
    if renewed_at is None:
        renewed_at = _FEW_LINES if suffix_last and not _is_trained(info) else settings.max_middle_chars // 2
    return evolve(settings, layout=layout, renew_middle_chars=renewed_at)


def explain_layout(settings: PromptSettings, info: ModelInfo, template: FimTemplate | None) -> str:
    """Return the layout of a model's prompts and the reason for it, in a line."""
    if template is None:
        return "the text before the cursor alone: the model has no template"
    if template.order == "suffix_first":
        return "suffix first: typed text comes last, so that a key costs a token or two"
    given = "auto" if settings.layout == "auto" else "by the settings"
    layout = resolve_layout(settings, info, template).layout
    if layout == "plain" and template.order == "spm":
        return f"plain ({given}): the suffix comes first, and little stands behind typed text"
    if layout == "plain":
        return f"plain ({given}): the suffix stands behind typed text, and each key evaluates it again"
    anchored = (
        f"anchored ({given}): typed text stands behind the suffix, so that a key costs a token or two; "
    )
    return anchored + ("the model was trained on it" if _is_trained(info) else "it is kept to a few lines")


def _is_trained(info: ModelInfo) -> bool:
    """Return whether the model was trained on long middles that begin at a line start."""
    return info.metadata.get(ANCHORED_MIDDLES, "").lower() == "true"


def next_anchor(
    previous: Anchor | None,
    request: CompletionRequest,
    template: FimTemplate | None,
    settings: PromptSettings,
) -> Anchor:
    """Return the previous anchor if it is still usable, else a new one.

    The previous anchor is usable if the user typed on from it. It is not if the cursor left its range, the
    middle is longer than ``settings.max_middle_chars``, the text before it or in the suffix window changed
    (apart from auto-closed brackets), or the template or the settings changed. In a template that puts the
    suffix first, the cursor may also move down into the suffix by up to ``settings.max_stale_chars``.
    """
    text, cursor = typed_text(request)
    if (
        previous is not None
        and previous.uri == request.document.uri
        and previous.template == _name(template)
        and previous.settings == settings
        and (
            _was_typed_from(previous, text, cursor)
            or (_is_suffix_first(template) and _moved_down(previous, text, cursor))
        )
    ):
        return previous
    return _anchor_at(request.document.uri, text, cursor, template, settings)


def should_renew(anchor: Anchor, request: CompletionRequest) -> bool:
    """Check if an anchor that is still usable should be replaced while no request is waiting."""
    text, cursor = typed_text(request)
    bound = middle_bound(anchor.settings)
    renewed_at = anchor.settings.renew_middle_chars
    longest = bound // 2 if renewed_at is None else min(renewed_at, bound)
    return not _was_typed_from(anchor, text, cursor) or cursor - anchor.offset > longest


def is_same_suffix(typed: str, now: str, then: str) -> bool:
    """Check if the suffix is still the same, apart from the brackets and quotes that the editor closed.

    Args:
        typed: the text typed between ``then`` and ``now``.
        now: the text after the cursor.
        then: the text after the cursor before ``typed`` was typed.

    Returns:
        True if both are equal, or if ``now`` is ``then`` behind closers that match the brackets and quotes
        left open in ``typed``: after ``f(`` was typed, ``)rest`` is the same suffix as ``rest``, ``]rest`` is
        not. Whitespace between closers belongs to them (Enter between two braces).

    Pass windows, not whole documents. For windows of the same length, the end of ``then`` that the closers
    moved out of ``now`` is not compared.
    """
    if now == then:
        return True
    extra = len(now) - len(then)
    if extra > 0:
        return now.endswith(then) and _closes(now[:extra], typed)
    if extra < 0 or len(now) < _TRUNCATED:
        return False
    return any(then.startswith(now[count:]) and _closes(now[:count], typed) for count in _closer_runs(now))


def _was_typed_from(anchor: Anchor, text: str, cursor: int) -> bool:
    """Check if typing on from the anchor leads to this text and cursor."""
    if not anchor.offset <= cursor <= anchor.offset + middle_bound(anchor.settings):
        return False
    if visible(text[anchor.start : anchor.offset]) != anchor.prefix:
        return False
    typed = visible(text[anchor.offset : cursor])
    now = visible(text[cursor : cursor + anchor.suffix_chars + _CLOSERS_ROOM])
    if anchor.reaches_end:
        return is_same_suffix(typed, now, anchor.suffix)
    return now.startswith(anchor.suffix) or any(
        now.startswith(anchor.suffix, count) and _closes(now[:count], typed) for count in _closer_runs(now)
    )


def _moved_down(anchor: Anchor, text: str, cursor: int) -> bool:
    """Check if the cursor moved down, not too far, into a suffix that is unchanged from there on."""
    left = visible(text[cursor : max(cursor, len(text) - anchor.beyond)])
    passed = len(anchor.suffix) - len(left)
    # Every text ends with an empty one, so an empty rest counts only at the end of the document.
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
    """Return the start of the cursor's line, or, in a line longer than ``bound``, a point on a grid."""
    newline = text.rfind("\n", max(0, cursor - bound - 1), cursor)
    if newline >= 0 or cursor <= bound:
        return newline + 1
    return cursor - cursor % max(1, math.ceil(bound / 2))


def _is_suffix_first(template: FimTemplate | None) -> bool:
    return template is not None and template.order == "suffix_first"


def _name(template: FimTemplate | None) -> str:
    return template.name if template is not None else ""


def _closer_runs(now: str) -> range:
    """Return each number of leading characters of ``now`` that an editor might have added as closers."""
    run = _CLOSERS.match(now, 0, _CLOSERS_ROOM)
    return range(1, (run.end() if run else 0) + 1)


def _closes(extra: str, typed: str) -> bool:
    """Check if ``extra`` consists of closers for the brackets and quotes left open in ``typed``, in order."""
    if not extra or extra[-1].isspace() or len(extra) > _CLOSERS_ROOM:
        return False
    # A subsequence is enough, because an editor may close brackets but not quotes.
    closers = iter(_open_closers(typed))
    return all(char in closers for char in extra if not char.isspace())


def _open_closers(typed: str) -> str:
    """Return the closers for the brackets and quotes left open in ``typed``, the innermost first.

    ``f([x], "`` -> ``")``. Brackets inside quotes count too: editors close them there as well.
    """
    stack: list[str] = []
    for match in _TOKENS.finditer(typed):
        token = match.group()
        if token in _PAIRS:
            stack.append(_PAIRS[token])
        elif token in _QUOTES:
            _quote(stack, token)
        elif token == "\n":
            # A quote that is open at the end of a line is an apostrophe in a comment.
            stack = [closer for closer in stack if closer not in ("'", '"')]
        elif stack and stack[-1] == token:
            stack.pop()
    return "".join(reversed(stack))


def _quote(stack: list[str], quote: str) -> None:
    """Open a quote, or close it if it is open, with everything that was opened inside it."""
    if quote in stack:
        del stack[stack.index(quote) :]
    else:
        stack.append(quote)
