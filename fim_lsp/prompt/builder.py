"""Build a prompt from a document, a template and snippets; training and serving use the same code.

Every layout is a head of tokens that stays while the user types, and a tail of text that grows at the
cursor (P is the prefix, S the suffix)::

    plain PSM      head [PRE] P [SUF] S [MID]                  tail -
    plain SPM      head [SUF] S [PRE] P [MID]                  tail -
    anchored       head [PRE] P up to the anchor [SUF] S [MID] tail the text since
    suffix first   head [PRE] [SUF] S [MID]                    tail P
    prefix only    head -                                      tail P

Snippets stand in front of the text, so that typing never moves them. The token budget is divided in this
order: snippets, up to their share, rounded up so that one token more or less moves no window; the middle
typed so far; suffix and prefix by their shares, where one of them gets what the other does not need.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from attrs import field, frozen

from fim_lsp.code.languages import commented, find_language, language_name
from fim_lsp.prompt.anchor import Anchor, next_anchor
from fim_lsp.prompt.families import FAMILIES
from fim_lsp.prompt.markers import split_markers, stop_ids
from fim_lsp.prompt.repository import CurrentFile, EncodedPart, RenderedSnippets, render_snippets
from fim_lsp.prompt.window import (
    CHARS_PER_TOKEN,
    Encode,
    Window,
    fit_growing_prefix,
    fit_lines,
    fit_prefix,
    fit_suffix,
    middle_bound,
    quantised,
    suffix_budget,
    typed_text,
    visible,
)
from fim_lsp.settings import PromptSettings
from fim_lsp.types import CompletionRequest, FimTemplate, Prompt, PromptPart, Snippet, Tokenizer

PREFIX_ONLY = "prefix only"
"""Value of :attr:`Prompt.template` without a FIM template."""
_EMPTY = Window("", ())


def build(
    request: CompletionRequest,
    template: FimTemplate | None,
    tokenizer: Tokenizer,
    settings: PromptSettings,
    *,
    snippets: Sequence[Snippet] = (),
    anchor: Anchor | None = None,
    max_tokens: int | None = None,
    path: str = "",
    repository: str = "",
    steady: bool = False,
) -> Prompt:
    """Build the prompt for a cursor.

    Args:
        request: the document and the cursor in it.
        template: the model's FIM template, or None to continue the prefix.
        tokenizer: the model's vocabulary; user text goes through its ``encode`` alone.
        settings: budgets in tokens, and the layout; ``auto`` counts as ``plain``, see
            :func:`fim_lsp.prompt.anchor.resolve_layout`.
        snippets: parts of other files, the best last.
        anchor: the anchor of the document's last prompt; one that is not usable any more is replaced.
        max_tokens: room in the context window, if that is less than ``settings.max_tokens``.
        path: path of the document in its workspace, for families that write it; its file name by default.
        repository: name of the repository, for families that write it; written only next to snippets.
        steady: let the prefix's window begin at one place as long as the anchor stays, and take as many lines
            as fit. A short window would otherwise move every few words, and be evaluated again.
    """
    total = settings.max_tokens if max_tokens is None else min(settings.max_tokens, max_tokens)
    file = CurrentFile(path or request.document.path.name, request.document.language_id, repository)
    fixed = _TemplateParts.of(template, tokenizer, file, comment=settings.name_file)
    room = max(0, total - fixed.tokens)
    share = int(room * settings.snippet_share)
    rendered = render_snippets(snippets, template, tokenizer, file, share)
    claimed = min(share, quantised(rendered.tokens, max(1, share // 4)))
    texts = _cut_texts(request, template, tokenizer.encode, settings, anchor, room - claimed, steady=steady)
    head = _merge_spaces(_arrange(fixed, texts, rendered, template), tokenizer.encode)
    tail = EncodedPart(texts.tail_kind, texts.tail.text, texts.tail.ids)
    return Prompt(
        head=tuple(token for part in head for token in part.ids),
        tail=tail.text,
        stop_ids=_stop_ids(template, tokenizer),
        heal=settings.heal_tokens and bool(tail.text),
        parts=tuple(PromptPart(part.kind, part.text, len(part.ids)) for part in (*head, tail) if part.text),
        template=template.name if template else PREFIX_ONLY,
        snippets=rendered.snippets,
    )


@frozen
class _TemplateParts:
    """The fixed parts of a template, in the order in which they are arranged around the user's text."""

    bos: tuple[EncodedPart, ...] = ()
    opening: tuple[EncodedPart, ...] = ()
    """The first line of the preamble; CodeGeeX4's snippets follow it."""
    preamble: tuple[EncodedPart, ...] = ()
    prefix: tuple[EncodedPart, ...] = ()
    suffix: tuple[EncodedPart, ...] = ()
    middle: tuple[EncodedPart, ...] = ()
    """The middle marker and the epilogue."""
    comment: tuple[EncodedPart, ...] = ()
    """The name of the file in a comment, right before the prefix; snippets that name it take its place."""

    @classmethod
    def of(
        cls, template: FimTemplate | None, tokenizer: Tokenizer, file: CurrentFile, *, comment: bool
    ) -> _TemplateParts:
        named = _comment_on(file, template, tokenizer) if comment else ()
        bos = () if tokenizer.bos is None else (tokenizer.bos,)
        bos_parts = tuple(EncodedPart("bos", tokenizer.decode((token,)), (token,)) for token in bos)
        if template is None:
            return cls(bos_parts, comment=named)

        def encoded(text: str) -> tuple[EncodedPart, ...]:
            return tuple(_encode_fixed(template, text, tokenizer, file))

        first, newline, rest = template.preamble.partition("\n")
        return cls(
            bos_parts,
            encoded(first + newline),
            encoded(rest),
            encoded(template.prefix),
            encoded(template.suffix),
            encoded(template.middle + template.epilogue),
            named,
        )

    @property
    def tokens(self) -> int:
        """Number of tokens."""
        groups = (self.bos, self.opening, self.preamble, self.prefix, self.suffix, self.middle, self.comment)
        return sum(len(part.ids) for group in groups for part in group)


def _comment_on(
    file: CurrentFile, template: FimTemplate | None, tokenizer: Tokenizer
) -> tuple[EncodedPart, ...]:
    """Return the file's path as a comment; nothing where there are no comments, or the template names it.

    Example: ``src/cart.py`` in Python -> ``# src/cart.py`` and a line break.
    """
    written = template.preamble + template.prefix + template.suffix if template else ""
    delimiters = find_language(file.language_id).delimiters
    has_comments = delimiters.line_comments or delimiters.block_comments
    if "{path}" in written or not file.path or not has_comments:
        return ()
    text = visible(commented(file.path, file.language_id))
    return (EncodedPart("text", text, tokenizer.encode(text)),)


def _encode_fixed(
    template: FimTemplate, text: str, tokenizer: Tokenizer, file: CurrentFile
) -> Iterable[EncodedPart]:
    """Encode a text of the template: markers as their ids, the rest as text with its fields filled in."""
    for item in split_markers(template, text, tokenizer):
        if isinstance(item, int):
            yield EncodedPart("marker", tokenizer.decode((item,)), (item,))
        else:
            filled = visible(item.format(path=file.path, language=language_name(file.language_id)))
            yield EncodedPart("text", filled, tokenizer.encode(filled))


@frozen
class _Texts:
    """The document's text, cut to its budget."""

    tail: Window
    tail_kind: str
    prefix: Window = field(default=_EMPTY)
    """The part of the prefix that is in the head."""
    suffix: Window = field(default=_EMPTY)


def _cut_texts(
    request: CompletionRequest,
    template: FimTemplate | None,
    encode: Encode,
    settings: PromptSettings,
    anchor: Anchor | None,
    room: int,
    *,
    steady: bool,
) -> _Texts:
    """Cut prefix, suffix and middle in the layout of template and settings; ``room`` is in tokens."""
    text, cursor = typed_text(request)
    if template is None:
        return _prefix_last(text, cursor, encode, room, _EMPTY)
    if template.order == "suffix_first":
        anchor = next_anchor(anchor, request, template, settings)
        suffix = _frozen_suffix(anchor, encode, room)
        if steady and (texts := _steady_prefix_last(text, cursor, anchor, encode, room, suffix)) is not None:
            return texts
        return _prefix_last(text, cursor, encode, room, suffix)
    if settings.layout == "anchored":
        anchor = next_anchor(anchor, request, template, settings)
        texts = _anchored(text, cursor, anchor, encode, room, steady=steady)
        if texts is not None:
            return texts
    return _plain(text, cursor, encode, settings, room)


def _prefix_last(text: str, cursor: int, encode: Encode, room: int, suffix: Window) -> _Texts:
    """Put the prefix into the tail, behind the suffix."""
    tokens = room - len(suffix.ids)
    prefix = fit_growing_prefix(text, cursor, int(tokens * CHARS_PER_TOKEN), tokens, encode)
    return _Texts(prefix, "prefix", suffix=suffix)


def _steady_prefix_last(
    text: str, cursor: int, anchor: Anchor, encode: Encode, room: int, suffix: Window
) -> _Texts | None:
    """Put the prefix into the tail, with a window that begins at the same place while the user types.

    None if so much was typed that the tail has become twice as long as it may be.
    """
    tokens = room - len(suffix.ids)
    # Room for the beginning of the cursor's line; what is typed after that lengthens the prompt.
    before = fit_lines(text, anchor.offset, tokens - tokens // 8, encode)
    typed = visible(text[anchor.offset : cursor])
    ids = (*before.ids, *encode(typed)) if typed else before.ids
    return (
        _Texts(Window(before.text + typed, ids), "prefix", suffix=suffix) if len(ids) <= 2 * tokens else None
    )


def _frozen_suffix(anchor: Anchor, encode: Encode, room: int) -> Window:
    tokens = anchor.suffix_tokens * room // max(room, anchor.settings.max_tokens)
    return fit_suffix(anchor.suffix, len(anchor.suffix), tokens, encode)


def _anchored(
    text: str, cursor: int, anchor: Anchor, encode: Encode, room: int, *, steady: bool
) -> _Texts | None:
    """Return the texts of the anchored layout; None if the middle needs more tokens than it may have.

    The tokens reserved for the middle depend on its longest length, not on its length now; otherwise the
    prefix would shrink while the middle grows. The suffix's are rounded up, so that the prefix's window
    begins at the same place for anchors that are near each other.
    """
    middle = visible(text[anchor.offset : cursor])
    reserve = min(math.ceil(middle_bound(anchor.settings) / CHARS_PER_TOKEN), room // 2)
    tail = Window(middle, encode(middle) if middle else ())
    if len(tail.ids) > reserve:
        return None
    suffix = _frozen_suffix(anchor, encode, room - reserve)
    if steady:
        prefix = fit_lines(text, anchor.offset, room - reserve - len(suffix.ids), encode)
    else:
        claimed = min(quantised(len(suffix.ids), max(1, room // 8)), room - reserve)
        tokens = room - reserve - claimed
        prefix = fit_prefix(text, anchor.offset, int(tokens * CHARS_PER_TOKEN), tokens, encode)
    return _Texts(tail, "middle", prefix=prefix, suffix=suffix)


def _plain(text: str, cursor: int, encode: Encode, settings: PromptSettings, room: int) -> _Texts:
    tokens = suffix_budget(room, settings.prefix_share, cursor)
    chars = int(tokens * CHARS_PER_TOKEN)
    # One character more than the window, so that fit_suffix sees that the text goes on.
    suffix = fit_suffix(text[cursor : cursor + chars + 1], chars, tokens, encode)
    left = room - len(suffix.ids)
    prefix = fit_prefix(text, cursor, int(left * CHARS_PER_TOKEN), left, encode)
    return _Texts(_EMPTY, "", prefix=prefix, suffix=suffix)


def _arrange(
    fixed: _TemplateParts, texts: _Texts, rendered: RenderedSnippets, template: FimTemplate | None
) -> tuple[EncodedPart, ...]:
    """Return the head's parts in the template's order."""
    snippets = {rendered.position: rendered.parts}
    comment = () if rendered.parts else fixed.comment
    # Behind the middle marker the prefix follows in the tail.
    in_tail = template is not None and template.order == "suffix_first" and bool(template.middle)
    prefix = (
        *fixed.prefix,
        *snippets.get("prefix", ()),
        *rendered.after_prefix_marker,
        *(() if in_tail else comment),
        EncodedPart("prefix", texts.prefix.text, texts.prefix.ids),
    )
    suffix = (*fixed.suffix, EncodedPart("suffix", texts.suffix.text, texts.suffix.ids))
    opening = (
        *fixed.bos,
        *snippets.get("front", ()),
        *fixed.opening,
        *snippets.get("preamble", ()),
        *fixed.preamble,
    )
    prefix_leads = template is None or template.order == "psm" or in_tail
    body = (*prefix, *suffix) if prefix_leads else (*suffix, *prefix)
    return (*opening, *body, *fixed.middle, *(comment if in_tail else ()))


def _merge_spaces(parts: Sequence[EncodedPart], encode: Encode) -> tuple[EncodedPart, ...]:
    """Encode a template's space (Code Llama's after ``<PRE>``) together with the text behind it.

    ``<PRE>``, ``" "``, ``"def"`` -> ``<PRE>``, ``" def"``. Parts without tokens are dropped.
    """
    merged: list[EncodedPart] = []
    for part in parts:
        before = merged[-1] if merged else None
        if part.ids and part.kind != "marker" and before and before.kind == "text" and before.text == " ":
            merged.pop()
            part = EncodedPart(part.kind, " " + part.text, encode(" " + part.text))
        if part.ids:
            merged.append(part)
    return tuple(merged)


def _stop_ids(template: FimTemplate | None, tokenizer: Tokenizer) -> frozenset[int]:
    """Return the ids of the template's markers; without a template, of the markers of all families."""
    templates = (family.template for family in FAMILIES) if template is None else (template,)
    return frozenset[int]().union(*(stop_ids(known, tokenizer) for known in templates))
