"""A snapshot, a template and snippets become a prompt: pure, and the same code for training and serving.

Every layout is a head of tokens that should stay and a tail of text that grows at the cursor::

    plain PSM      head [PRE] P [SUF] S [MID]                  tail -
    plain SPM      head [SUF] S [PRE] P [MID]                  tail -
    anchored       head [PRE] P up to the anchor [SUF] S [MID] tail the text since
    suffix first   head [PRE] [SUF] S [MID]                    tail P
    prefix only    head -                                      tail P

Snippets stand at the front, so that typing never moves them. The tokens are claimed in this order: snippets
up to their share and in steps, so that one token more or less moves no window; middle so far; suffix and
prefix by their shares (what one does not need goes to the other).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from attrs import field, frozen

from fim_lsp.code.languages import language_name
from fim_lsp.prompt.anchor import Anchor, next_anchor
from fim_lsp.prompt.families import FAMILIES
from fim_lsp.prompt.markers import split_markers, stop_ids
from fim_lsp.prompt.repository import CurrentFile, Repository, RepositoryPart, render
from fim_lsp.prompt.window import (
    CHARS_PER_TOKEN,
    Encode,
    Window,
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
"""What :attr:`Prompt.template` says where there is no FIM template."""
_NOTHING = Window("", ())


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
) -> Prompt:
    """Build the prompt for a cursor.

    Args:
        request: the document and the cursor in it.
        template: the model's FIM template, or None to continue the prefix.
        tokenizer: the model's vocabulary; user text goes through its ``encode`` alone.
        settings: budgets in tokens and the layout.
        snippets: pieces of other files, the best last.
        anchor: where the last prompt for this document was anchored; one that no longer holds is replaced.
        max_tokens: room in the context window, where that is less than ``settings.max_tokens``.
        path: of the document in its workspace, for families that write it; its file name by default.
        repository: name of the repository, for families that write it, and only next to snippets.
    """
    total = settings.max_tokens if max_tokens is None else min(settings.max_tokens, max_tokens)
    file = CurrentFile(path or request.document.path.name, request.document.language_id, repository)
    frame = _Frame.of(template, tokenizer, file)
    room = max(0, total - frame.tokens)
    share = int(room * settings.snippet_share)
    context = render(snippets, template, tokenizer, file, share)
    claimed = min(share, quantised(context.tokens, max(1, share // 4)))
    texts = _texts(request, template, tokenizer.encode, settings, anchor, room - claimed)
    head = _merged(_arranged(frame, texts, context, template), tokenizer.encode)
    tail = RepositoryPart(texts.tail_kind, texts.tail.text, texts.tail.ids)
    return Prompt(
        head=tuple(token for piece in head for token in piece.ids),
        tail=tail.text,
        stop_ids=_stop_ids(template, tokenizer),
        heal=settings.heal_tokens and bool(tail.text),
        parts=tuple(PromptPart(p.kind, p.text, len(p.ids)) for p in (*head, tail) if p.text),
        template=template.name if template else PREFIX_ONLY,
        snippets=context.snippets,
    )


@frozen
class _Frame:
    """What a template puts around the user's text."""

    bos: tuple[RepositoryPart, ...] = ()
    opening: tuple[RepositoryPart, ...] = ()
    """The preamble's first line; CodeGeeX4's references follow it."""
    preamble: tuple[RepositoryPart, ...] = ()
    prefix: tuple[RepositoryPart, ...] = ()
    suffix: tuple[RepositoryPart, ...] = ()
    middle: tuple[RepositoryPart, ...] = ()
    """The middle marker and the epilogue."""

    @classmethod
    def of(cls, template: FimTemplate | None, tokenizer: Tokenizer, file: CurrentFile) -> _Frame:
        bos = () if tokenizer.bos is None else (tokenizer.bos,)
        bos_piece = tuple(RepositoryPart("bos", tokenizer.decode((token,)), (token,)) for token in bos)
        if template is None:
            return cls(bos_piece)

        def pieces(text: str) -> tuple[RepositoryPart, ...]:
            return tuple(_fixed(template, text, tokenizer, file))

        first, newline, rest = template.preamble.partition("\n")
        return cls(
            bos_piece,
            pieces(first + newline),
            pieces(rest),
            pieces(template.prefix),
            pieces(template.suffix),
            pieces(template.middle + template.epilogue),
        )

    @property
    def tokens(self) -> int:
        """What the frame costs."""
        parts = (self.bos, self.opening, self.preamble, self.prefix, self.suffix, self.middle)
        return sum(len(piece.ids) for part in parts for piece in part)


def _fixed(
    template: FimTemplate, text: str, tokenizer: Tokenizer, file: CurrentFile
) -> Iterable[RepositoryPart]:
    for piece in split_markers(template, text, tokenizer):
        if isinstance(piece, int):
            yield RepositoryPart("marker", tokenizer.decode((piece,)), (piece,))
        else:
            filled = visible(piece.format(path=file.path, language=language_name(file.language_id)))
            yield RepositoryPart("text", filled, tokenizer.encode(filled))


@frozen
class _Texts:
    """The user's text, cut to its budget."""

    tail: Window
    tail_kind: str
    prefix: Window = field(default=_NOTHING)
    """The part of the prefix that is in the head."""
    suffix: Window = field(default=_NOTHING)


def _texts(
    request: CompletionRequest,
    template: FimTemplate | None,
    encode: Encode,
    settings: PromptSettings,
    anchor: Anchor | None,
    room: int,
) -> _Texts:
    text, cursor = typed_text(request)
    if template is None:
        return _prefix_last(text, cursor, encode, room, _NOTHING)
    if template.order == "suffix_first":
        anchor = next_anchor(anchor, request, template, settings)
        return _prefix_last(text, cursor, encode, room, _frozen_suffix(anchor, encode, room))
    if settings.layout == "anchored":
        anchor = next_anchor(anchor, request, template, settings)
        texts = _anchored(anchor, visible(text[anchor.offset : cursor]), encode, room)
        if texts is not None:
            return texts
    return _plain(text, cursor, encode, settings, room)


def _prefix_last(text: str, cursor: int, encode: Encode, room: int, suffix: Window) -> _Texts:
    tokens = room - len(suffix.ids)
    prefix = fit_prefix(text, cursor, int(tokens * CHARS_PER_TOKEN), tokens, encode)
    return _Texts(prefix, "prefix", suffix=suffix)


def _frozen_suffix(anchor: Anchor, encode: Encode, room: int) -> Window:
    tokens = anchor.suffix_tokens * room // max(room, anchor.settings.max_tokens)
    return fit_suffix(anchor.suffix, len(anchor.suffix), tokens, encode)


def _anchored(anchor: Anchor, middle: str, encode: Encode, room: int) -> _Texts | None:
    """The anchored layout, or None where dense text needs more tokens than a middle may have.

    The middle's claim is its bound, not its length: otherwise the prefix would shrink as it grows.
    """
    reserve = min(math.ceil(middle_bound(anchor.settings) / CHARS_PER_TOKEN), room // 2)
    tail = Window(middle, encode(middle) if middle else ())
    if len(tail.ids) > reserve:
        return None
    suffix = _frozen_suffix(anchor, encode, room - reserve)
    tokens = room - reserve - len(suffix.ids)
    prefix = fit_prefix(anchor.prefix, len(anchor.prefix), len(anchor.prefix), tokens, encode)
    return _Texts(tail, "middle", prefix=prefix, suffix=suffix)


def _plain(text: str, cursor: int, encode: Encode, settings: PromptSettings, room: int) -> _Texts:
    tokens = suffix_budget(room, settings.prefix_share, cursor)
    chars = int(tokens * CHARS_PER_TOKEN)
    # One more than the window, so that it is seen to be cut.
    suffix = fit_suffix(text[cursor : cursor + chars + 1], chars, tokens, encode)
    left = room - len(suffix.ids)
    prefix = fit_prefix(text, cursor, int(left * CHARS_PER_TOKEN), left, encode)
    return _Texts(_NOTHING, "", prefix=prefix, suffix=suffix)


def _arranged(
    frame: _Frame, texts: _Texts, context: Repository, template: FimTemplate | None
) -> tuple[RepositoryPart, ...]:
    """The head's pieces in the template's order."""
    at = {context.position: context.pieces}
    prefix = (
        *frame.prefix,
        *at.get("prefix", ()),
        *context.inside,
        RepositoryPart("prefix", texts.prefix.text, texts.prefix.ids),
    )
    suffix = (*frame.suffix, RepositoryPart("suffix", texts.suffix.text, texts.suffix.ids))
    opening = (*frame.bos, *at.get("front", ()), *frame.opening, *at.get("preamble", ()), *frame.preamble)
    prefix_leads = (
        template is None
        or template.order == "psm"
        or (template.order == "suffix_first" and bool(template.middle))
    )
    body = (*prefix, *suffix) if prefix_leads else (*suffix, *prefix)
    return (*opening, *body, *frame.middle)


def _merged(pieces: Sequence[RepositoryPart], encode: Encode) -> tuple[RepositoryPart, ...]:
    """Give a template's space (Code Llama's after ``<PRE>``) to the text after it, as one to tokenise."""
    merged: list[RepositoryPart] = []
    for piece in pieces:
        before = merged[-1] if merged else None
        if piece.ids and piece.kind != "marker" and before and before.kind == "text" and before.text == " ":
            merged.pop()
            piece = RepositoryPart(piece.kind, " " + piece.text, encode(" " + piece.text))
        if piece.ids:
            merged.append(piece)
    return tuple(merged)


def _stop_ids(template: FimTemplate | None, tokenizer: Tokenizer) -> frozenset[int]:
    """Markers never belong to a completion; without a template, those of no family do."""
    templates = (family.template for family in FAMILIES) if template is None else (template,)
    return frozenset[int]().union(*(stop_ids(one, tokenizer) for one in templates))
