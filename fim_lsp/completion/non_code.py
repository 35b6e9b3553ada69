"""Recognise generated text that is no code. Used by stop rules and filters. Pure."""

from __future__ import annotations

import re

from fim_lsp.code.cursor import CursorContext
from fim_lsp.code.languages import find_language
from fim_lsp.code.nesting import is_markup

FENCE = "```"
_MARKER = re.compile(
    r"<\|[^|<>\n]{1,40}\|>|<｜[^｜\n]{1,40}｜>|<(?:EOT|eot_id|fim_(?:prefix|suffix|middle|pad)|file_sep|repo_name)>|"
    r"<(?:PRE|SUF|MID)>|\[(?:PREFIX|SUFFIX|MIDDLE)\]|</?s>"
)
"""Markers of model families (see ``prompt.families``) as they look when they are spelled as text."""
_TAGS = frozenset({"<s>", "</s>"})
"""Markers of Llama that are tags in markup."""


def find_marker(text: str, context: CursorContext) -> int | None:
    """Return where a marker begins that does not stand around the cursor already; None if there is none.

    Example: in ``x + 1<|endoftext|>`` it is 5.
    """
    for match in _MARKER.finditer(text):
        tag = match[0] in _TAGS and (context.in_markup or is_markup(context.language_id))
        if not tag and match[0] not in context.near.before and match[0] not in context.near.after:
            return match.start()
    return None


def has_fences(context: CursorContext) -> bool:
    """Tell whether fences belong here: in prose, and where one stands around the cursor."""
    language = find_language(context.language_id)
    return language.prose or FENCE in context.near.before or FENCE in context.near.after
