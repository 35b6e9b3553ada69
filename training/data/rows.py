"""Make training rows of holes: the tokens that the server would send, then the answer, each with a weight.

:func:`fim_lsp.prompt.builder.build` builds the prompt; this module knows no template's layout. The middle is
encoded by itself, as the engine decodes it. When serving, token healing may replace the tail's last token
together with the beginning of the answer; training rows are left without that on purpose.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from urllib.parse import quote

import attrs
from attrs import field, frozen

from fim_lsp.prompt.anchor import Anchor, next_anchor
from fim_lsp.prompt.builder import build
from fim_lsp.prompt.window import visible
from fim_lsp.settings import PromptSettings
from fim_lsp.types import CompletionRequest, DocumentSnapshot, Prompt, Snippet
from training.bases import Base
from training.config import DataSettings
from training.data.screening import SourceFile
from training.data.spans import EndKind, Hole, HoleKind, StartKind, end_kind, start_kind

_SHORTEST_PROMPT = 24
"""Tokens; with a shorter prompt the middle can't be guessed."""
SNIPPET_SHARE = 0.58
"""Part of a row's prompt for snippets, if it has any. More than a prompt's, because rows are shorter."""


@frozen
class TrainingRow:
    """Tokens with a loss weight each, and the kinds by which rows are counted.

    The weight at an index belongs to the token at that index, as a target; 0 means no loss.
    """

    tokens: tuple[int, ...] = field(repr=False)
    weights: tuple[float, ...] = field(repr=False)
    middle_start: int
    """Index of the middle's first token; the end token is the last. 0 in a left-to-right row."""
    kind: HoleKind
    start_kind: StartKind
    end_kind: EndKind
    language: str
    source: str
    tail_start: int = 0
    """Index of the first token of the prompt's tail, the text directly before the middle; equal to
    :attr:`middle_start` if the prompt ends with a marker."""
    anchored: bool = False
    snippets: int = 0
    """Number of snippets of other files in the prompt."""


def fim_row(
    hole: Hole,
    file: SourceFile,
    base: Base,
    settings: DataSettings,
    budget: int,
    snippets: Sequence[Snippet] = (),
) -> TrainingRow | None:
    """Make the row of a hole in a file.

    Args:
        hole: the hole; the part of its middle that counts as typed stands before the cursor.
        file: gives path and language; the text is that of the hole.
        base: vocabulary, template and end token.
        settings: shares and weights.
        budget: most tokens of the row; with a long middle it may have up to ``settings.max_tokens``.
        snippets: parts of other files, the best last.

    Returns:
        The row, or None if it would be too long or too short.
    """
    rest = visible(hole.rest)
    answer = (*(base.tokenizer.encode(rest) if rest else ()), base.end)
    room = budget - len(answer)
    if room < max(_SHORTEST_PROMPT, len(answer)):
        room = settings.max_tokens - len(answer)
    if room < max(_SHORTEST_PROMPT, len(answer) // 2):
        return None
    prompt = served_prompt(hole, file, base, settings, room, snippets)
    given = prompt_ids(prompt, base)
    if not settings.min_tokens <= len(given) + len(answer) <= settings.max_tokens:
        return None
    weights = _prefix_weights(prompt, given, base, settings) + [1.0] * len(answer)
    weights[-1] = settings.end_weight
    return TrainingRow(
        tokens=(*given, *answer),
        weights=tuple(weights),
        middle_start=len(given),
        tail_start=len(prompt.head),
        kind=hole.kind,
        start_kind=hole.start_kind,
        end_kind=hole.end_kind,
        language=file.language,
        source=file.source,
        anchored=hole.typed > 0,
        snippets=sum(part.kind == "snippet" for part in prompt.parts),
    )


def served_prompt(
    hole: Hole,
    file: SourceFile,
    base: Base,
    settings: DataSettings,
    room: int,
    snippets: Sequence[Snippet] = (),
) -> Prompt:
    """Build the prompt that the server would send with the cursor in the hole.

    If part of the middle is typed, the anchor is the one that the server made before that was typed.
    """
    layout = PromptSettings(
        max_tokens=max(64, room),
        prefix_share=settings.prefix_share,
        layout="anchored" if hole.typed else "plain",
        max_middle_chars=settings.max_middle_chars,
        snippet_share=SNIPPET_SHARE,
    )
    anchor: Anchor | None = None
    if hole.typed:
        before = request_for(file, hole.prefix, hole.suffix)
        anchor = next_anchor(None, before, base.template, layout)
    request = request_for(file, hole.before_cursor, hole.suffix)
    return build(
        request,
        base.template,
        base.tokenizer,
        layout,
        snippets=snippets,
        anchor=anchor,
        max_tokens=room,
        path=file.path,
        repository=file.source,
    )


def left_to_right_row(
    file: SourceFile, cursor: int, base: Base, settings: DataSettings, budget: int
) -> TrainingRow | None:
    """Make a row of the text before ``cursor`` as a prefix-only prompt, with the loss on all of it.

    Such rows preserve the base's ability to continue a text. At the end of the file the end token follows.
    Return None if the row would be too short.
    """
    request = request_for(file, file.text[:cursor], file.text[cursor:])
    room = min(budget, settings.max_tokens) - 1
    prompt = build(request, None, base.tokenizer, PromptSettings(max_tokens=max(64, room)), max_tokens=room)
    tokens = prompt_ids(prompt, base) + ((base.end,) if cursor == len(file.text) else ())
    if len(tokens) < settings.min_tokens:
        return None
    return TrainingRow(
        tokens=tokens,
        weights=(0.0, *[settings.left_to_right_weight] * (len(tokens) - 1)),
        middle_start=0,
        kind="left_to_right",
        start_kind=start_kind("", prompt.tail[:1]),
        end_kind=end_kind(file.text[:cursor], file.text[cursor:]),
        language=file.language,
        source=file.source,
    )


def prompt_ids(prompt: Prompt, base: Base) -> tuple[int, ...]:
    """Return the ids of a prompt as the engine evaluates them: the head's tokens, then the encoded tail."""
    return (*prompt.head, *(base.tokenizer.encode(prompt.tail) if prompt.tail else ()))


def request_for(file: SourceFile, before: str, after: str) -> CompletionRequest:
    """Return the request of a cursor between two texts, with the file's path and language."""
    document = DocumentSnapshot(f"file:///{quote(file.path)}", file.language, 1, before + after)
    return CompletionRequest(document, len(before))


def draw_budget(settings: DataSettings, rng: Random) -> int:
    """Draw a row's length in tokens, log-uniformly: 64 to 128 is as frequent as 256 to 512."""
    shortest = min(settings.max_tokens, round(1.25 * settings.min_tokens))
    return round(math.exp(rng.uniform(math.log(shortest), math.log(settings.max_tokens))))


def cut_off(hole: Hole) -> Hole:
    """Remove the suffix of a hole that ends with its line, as in a file that is still being written.

    A hole that ends in the middle of a line is returned as it is.
    """
    return hole if hole.end_kind == "mid_line" else attrs.evolve(hole, suffix="")


def _prefix_weights(
    prompt: Prompt, given: tuple[int, ...], base: Base, settings: DataSettings
) -> list[float]:
    """Return the weights of the prompt's tokens: 0, except at the end of a prefix directly before the middle.

    A hole with the same end could begin at each of those tokens, so predicting them is the same task. The
    last token is left out: the cursor may have cut it where the tokenizer would not.
    """
    weights = [0.0] * len(given)
    if settings.prefix_loss_weight > 0 and base.template.order == "suffix_first":
        cut = len(given) - 1
        begin = max(len(prompt.head), cut - settings.prefix_loss_tokens)
        weights[begin:cut] = [settings.prefix_loss_weight] * (cut - begin)
    return weights
