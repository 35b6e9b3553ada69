"""Turn a prompt into what a server takes: token ids, or a text in which user text spells no marker.

A server reads a marker in a text as the marker, wherever it comes from. So where it gets text, a marker that
the user's code happens to spell is taken apart by a blank behind its first character.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import groupby

from attrs import field, frozen

from fim_lsp.engine.sequence import plan_reuse
from fim_lsp.prompt.families import FAMILIES
from fim_lsp.types import Prompt, Tokenizer

_KNOWN = sorted({marker.strip() for family in FAMILIES for marker in family.template.markers}, key=len)
_MARKER = re.compile(
    "|".join([*map(re.escape, reversed(_KNOWN)), r"<[|｜][^|｜>\s]{1,40}[|｜]>", r"</?s>", r"\[/?INST\]"])
)
"""Markers of all families, and the usual form of control tokens: the server's model may be any."""
_LAST_WORD = re.compile(r"(?: ?\w{1,24}|\s{1,64}|[^\w\s])\Z")
"""What the token at the end of a text is likely to be, or a part of it."""


@frozen
class Marker:
    """A special token in a prompt."""

    text: str
    id: int


Segment = Marker | str
"""A marker, or user text between two of them."""


@frozen
class EncodedPrompt:
    """A prompt, ready to be sent."""

    segments: tuple[Segment, ...] = field(repr=False)
    healed: str = field(default="", repr=False)
    """Text at the cursor that was left out: the answer must begin with it."""
    ids: tuple[int, ...] | None = field(default=None, repr=False)
    """Token ids of the model; None where its vocabulary is not here."""
    spelling: tuple[int, ...] = field(default=(), repr=False)
    """The tokenizer's own tokens for ``healed``; empty for blanks, and where the vocabulary is not here."""

    @property
    def text(self) -> str:
        """The prompt as text, with the markers of its template and no others."""
        return "".join(
            segment.text if isinstance(segment, Marker) else neutralised(segment) for segment in self.segments
        )

    @property
    def spells_markers(self) -> bool:
        """True if user text in the prompt spells a marker."""
        return any(isinstance(segment, str) and _MARKER.search(segment) for segment in self.segments)


def neutralised(text: str) -> str:
    """Take markers in user text apart.

    Example: ``<|fim_middle|>`` -> ``< |fim_middle|>``.
    """
    while (changed := _MARKER.sub(lambda found: f"{found.group()[0]} {found.group()[1:]}", text)) != text:
        text = changed
    return text


@frozen
class PromptEncoder:
    """Encodes prompts that were built with one tokenizer."""

    tokenizer: Tokenizer
    is_marker: Callable[[int], bool]
    pieces: Sequence[bytes] | None = None
    """Bytes of each token of the model's vocabulary; None where the vocabulary is not here."""

    def encode(self, prompt: Prompt, *, heal: bool) -> EncodedPrompt:
        """Encode a prompt; with ``heal``, leave out the word that the cursor may have cut in half."""
        heal = heal and prompt.heal
        if self.pieces is None:
            tail, healed = split_last_word(prompt.tail) if heal else (prompt.tail, "")
            return EncodedPrompt(self._segments((*prompt.head, *self.tokenizer.encode(tail))), healed)
        plan = plan_reuse((), prompt.head, prompt.tail, self.pieces, self.tokenizer.encode, heal=heal)
        try:
            healed = plan.healed.decode("utf-8")
        except UnicodeDecodeError:  # Half a character can't be asked for as text.
            return self.encode(prompt, heal=False)
        return EncodedPrompt(self._segments(plan.pending), healed, plan.pending, plan.spelling)

    def _segments(self, ids: Sequence[int]) -> tuple[Segment, ...]:
        segments: list[Segment] = []
        for marker, group in groupby(ids, self.is_marker):
            tokens = tuple(group)
            if marker:
                segments += [Marker(self.tokenizer.decode((token,)), token) for token in tokens]
            else:
                segments.append(self.tokenizer.decode(tokens))
        return tuple(segments)


def split_last_word(text: str) -> tuple[str, str]:
    """Split off what the last token of a text may be.

    Example: ``return to`` -> ``return``, `` to``.
    """
    found = _LAST_WORD.search(text)
    return (text, "") if found is None else (text[: found.start()], found.group())
