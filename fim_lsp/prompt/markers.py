"""Turn the markers in a template's texts into token ids; no other module turns text into special tokens.

User text goes through ``Tokenizer.encode`` alone, so code that contains ``<|fim_middle|>`` stays text, and
the ids of markers are put between the encoded texts. Encoding a template's text as a whole would not do: a
marker at the end of a text may be encoded as plain text.
"""

from __future__ import annotations

import re

from fim_lsp.types import FimTemplate, Tokenizer

_SPACES = " ▁\n"
"""SentencePiece writes a space as ``▁``, also in the text of a token."""


def strip_marker(marker: str) -> str:
    """Remove the spaces around a marker: ``" <SUF>"`` -> ``"<SUF>"``, ``"▁<SUF>"`` -> ``"<SUF>"``."""
    return marker.strip(_SPACES)


def marker_id(marker: str, tokenizer: Tokenizer) -> int | None:
    """Return the id of a marker, whichever way the vocabulary writes the space before it, or None."""
    for spelling in (strip_marker(marker), "▁" + strip_marker(marker), " " + strip_marker(marker)):
        if (token := tokenizer.special(spelling)) is not None:
            return token
    return None


def split_markers(template: FimTemplate, text: str, tokenizer: Tokenizer) -> tuple[int | str, ...]:
    """Split a template's text into the ids of its markers and the plain text between them.

    ``"<PRE> x"`` -> ``(32007, " x")``. A space before a marker is dropped if the token contains it (Code
    Llama's ``▁<SUF>``). A marker that the vocabulary lacks is dropped; :func:`missing_markers` finds those
    beforehand.
    """
    items: list[int | str] = []
    # Splitting by a pattern with one group gives text and marker in turn.
    for index, item in enumerate(_pattern(template).split(text)):
        if index % 2 == 0:
            items.append(item)
        elif (token := marker_id(item, tokenizer)) is not None:
            has_space = tokenizer.decode((token,)).startswith((" ", "▁"))
            before = items[-1]
            if has_space and isinstance(before, str) and before.endswith(" "):
                items[-1] = before[:-1]
            items.append(token)
    return tuple(item for item in items if item != "")


def missing_markers(template: FimTemplate, tokenizer: Tokenizer) -> tuple[str, ...]:
    """Return the markers that the template needs and the vocabulary lacks."""
    needed = template.preamble + template.prefix + template.suffix + template.middle + template.epilogue
    found = dict.fromkeys(_pattern(template).findall(needed))
    return tuple(marker for marker in found if marker_id(marker, tokenizer) is None)


def stop_ids(template: FimTemplate, tokenizer: Tokenizer) -> frozenset[int]:
    """Return the ids that end a generation: all markers and stops of the template that the vocabulary has."""
    ids = (marker_id(marker, tokenizer) for marker in template.markers)
    return frozenset(token for token in ids if token is not None)


def _pattern(template: FimTemplate) -> re.Pattern[str]:
    """Return a pattern for the template's markers, the longest first; ``re`` caches compiled patterns."""
    markers = sorted({strip_marker(marker) for marker in template.markers}, key=len, reverse=True)
    return re.compile("(" + "|".join(map(re.escape, markers)) + ")")
