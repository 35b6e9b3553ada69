"""Filter of closing tags that stand on the rest of the cursor's line already."""

from __future__ import annotations

from fim_lsp.code.cursor import CursorContext
from fim_lsp.completion.filters.replace_range import compute_replace_range


def drop_unmatched_tags(text: str, context: CursorContext) -> str:
    """Cut before the end of a tag or element that the rest of the line ends in another way.

    Example: for ``<a href="|">Home</a>`` the text ``/about">About</a>`` becomes ``/about"``.
    """
    if not context.in_markup or not context.line_suffix:
        return text
    closers = context.read_inserted(text).closers
    ends = (len(text), *(closer.position for closer in reversed(closers)))
    return next((text[:end] for end in ends if _fits(text[:end], context)), "")


def _fits(text: str, context: CursorContext) -> bool:
    """Tell whether the text closes no element a second time, and puts no content before the line's own."""
    replaced = compute_replace_range(text, context)
    closers = context.read_inserted(text).closers
    tags = sum(closer.text.startswith("</") for closer in closers)
    on_line = [
        closer.position
        for closer in context.read_inserted(context.line_suffix).closers
        if closer.text.startswith("</")
    ]
    taken = sum(position < replaced for position in on_line)
    if taken < min(tags, len(on_line)):
        return False
    if not replaced or not closers or closers[-1].text != ">":
        return True
    content, rest = text[closers[-1].position + 1 :], context.line_suffix[replaced:].lstrip()
    return not content.strip() or not rest or rest.startswith("</")
