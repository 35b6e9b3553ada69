"""Marker texts to token ids: the only place where text becomes special tokens.

User text goes through ``Tokenizer.encode`` alone, so code that contains ``<|fim_middle|>`` stays text; the
ids of markers are spliced in between. A marker at the end of a string that is tokenised as a whole may come
out as text, which is why the strings of a template are taken apart here.
"""

from __future__ import annotations

import re

from fim_lsp.types import FimTemplate, Tokenizer

_SPACES = " ▁\n"
"""``▁`` is how SentencePiece spells a space, also in the text of a token."""


def core(marker: str) -> str:
    """A marker without the plain text around it: ``" <SUF>"`` and ``"▁<SUF>"`` are ``<SUF>``."""
    return marker.strip(_SPACES)


def marker_id(marker: str, tokenizer: Tokenizer) -> int | None:
    """The id of a marker, however the vocabulary spells the space before it, or None."""
    for spelling in (core(marker), "▁" + core(marker), " " + core(marker)):
        if (token := tokenizer.special(spelling)) is not None:
            return token
    return None


def split_markers(template: FimTemplate, text: str, tokenizer: Tokenizer) -> tuple[int | str, ...]:
    """Take a template string apart: ids where a marker stands, plain text between.

    A space before a marker is dropped where the token itself contains it (Code Llama's ``▁<SUF>``). A marker
    that the vocabulary lacks vanishes: :func:`missing_markers` tells before it comes to that.
    """
    pieces: list[int | str] = []
    for index, piece in enumerate(_pattern(template).split(text)):
        if index % 2 == 0:
            pieces.append(piece)
        elif (token := marker_id(piece, tokenizer)) is not None:
            spaced = tokenizer.decode((token,)).startswith((" ", "▁"))
            before = pieces[-1]
            if spaced and isinstance(before, str) and before.endswith(" "):
                pieces[-1] = before[:-1]
            pieces.append(token)
    return tuple(piece for piece in pieces if piece != "")


def resolve(template: FimTemplate, text: str, tokenizer: Tokenizer) -> tuple[int, ...]:
    """Ids of a template string: special tokens where a marker stands, encoded text between."""
    return tuple(
        token
        for piece in split_markers(template, text, tokenizer)
        for token in (tokenizer.encode(piece) if isinstance(piece, str) else (piece,))
    )


def missing_markers(template: FimTemplate, tokenizer: Tokenizer) -> tuple[str, ...]:
    """The markers without which this template can't be written and which the vocabulary lacks."""
    needed = template.preamble + template.prefix + template.suffix + template.middle + template.epilogue
    found = dict.fromkeys(_pattern(template).findall(needed))
    return tuple(marker for marker in found if marker_id(marker, tokenizer) is None)


def stop_ids(template: FimTemplate, tokenizer: Tokenizer) -> frozenset[int]:
    """The ids that end a generation: every marker and stop of the template that the vocabulary has."""
    ids = (marker_id(marker, tokenizer) for marker in template.markers)
    return frozenset(token for token in ids if token is not None)


def _pattern(template: FimTemplate) -> re.Pattern[str]:
    """Matches the template's markers, the longest first; ``re`` keeps the compiled ones."""
    known = sorted({core(marker) for marker in template.markers}, key=len, reverse=True)
    return re.compile("(" + "|".join(map(re.escape, known)) + ")")
