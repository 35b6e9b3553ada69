"""The user's texts in a prompt, read back from its parts."""

from __future__ import annotations

from fim_lsp.prompt.families import FAMILIES
from fim_lsp.types import Prompt, PromptPart

_TAIL_KINDS = ("prefix", "middle")
_SPACED = frozenset(family.template.name for family in FAMILIES if family.template.prefix.endswith(" "))
"""Templates whose space behind the prefix marker is encoded together with the code (Code Llama)."""


def around_cursor(prompt: Prompt) -> tuple[str, str]:
    """Return the code before and after the cursor that a prompt holds, without markers and snippets.

    The tail of a prompt may have grown since its parts were listed: a retry continues a first answer.
    """
    head = _head_parts(prompt)
    prefix = "".join(part.text for part in head if part.kind in _TAIL_KINDS)
    suffix = "".join(part.text for part in head if part.kind == "suffix")
    if prompt.template in _SPACED:
        prefix = prefix.removeprefix(" ")
    return prefix + prompt.tail, suffix


def _head_parts(prompt: Prompt) -> tuple[PromptPart, ...]:
    """Return the parts before the tail, which is the last one where it has any text."""
    *before, last = prompt.parts or (PromptPart("", "", 0),)
    is_tail = bool(prompt.tail) and last.kind in _TAIL_KINDS and prompt.tail.startswith(last.text)
    return tuple(before) if is_tail else prompt.parts
