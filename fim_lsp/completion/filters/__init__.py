"""Turn the text of the model into what is shown: a list of small pure filters, in order.

Each filter takes the text and the cursor context and returns a new text; an empty text drops the suggestion.
The text continues ``request.prefix``, so what the editor's popup would insert (``selected_text``) is not in
it. Every filter looks at the context's window alone, so its cost doesn't grow with the document.

Suggestions of low confidence are dropped by ``ranking``; that takes probabilities, which are not known here.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import field, frozen

from fim_lsp.code.cursor import CursorContext
from fim_lsp.completion.filters.align_first_line import align_first_line, indent_below_header
from fim_lsp.completion.filters.break_before_closer import break_before_closer
from fim_lsp.completion.filters.convert_indentation import convert_indentation
from fim_lsp.completion.filters.cut_suffix_overlap import cut_suffix_overlap
from fim_lsp.completion.filters.drop_non_code import cut_at_marker, strip_fences
from fim_lsp.completion.filters.drop_repeated_lines import drop_lines_above, drop_lines_below
from fim_lsp.completion.filters.drop_repeated_prefix import drop_repeated_prefix
from fim_lsp.completion.filters.drop_unmatched_closers import drop_unmatched_closers
from fim_lsp.completion.filters.drop_unmatched_tags import drop_unmatched_tags
from fim_lsp.completion.filters.replace_range import compute_replace_range
from fim_lsp.completion.filters.whitespace import (
    break_before_code,
    drop_blank,
    normalize_newlines,
    trim_end,
)

__all__ = ["FILTERS", "Filter", "FilterStep", "Filtered", "apply_filters"]

Filter = Callable[[str, CursorContext], str]

FILTERS: tuple[Filter, ...] = (
    normalize_newlines,
    cut_at_marker,
    strip_fences,
    drop_blank,
    drop_repeated_prefix,
    align_first_line,
    drop_lines_below,
    cut_suffix_overlap,
    break_before_code,
    drop_lines_above,
    drop_unmatched_closers,
    drop_unmatched_tags,
    convert_indentation,
    indent_below_header,
    break_before_closer,
    trim_end,
)
"""In the order in which they run. ``fimLsp.explain`` names them as they are named here."""


@frozen
class FilterStep:
    """The change of one filter, for ``fimLsp.explain``."""

    name: str
    before: str = field(repr=False)
    after: str = field(repr=False)


@frozen
class Filtered:
    """A suggestion as the editor gets it, and how it came about."""

    text: str
    """With ``\\n`` as its line break; empty if a filter dropped it."""
    replace_suffix_chars: int = 0
    """Characters after the cursor, on its line, that the text repeats and so replaces."""
    steps: tuple[FilterStep, ...] = ()
    """The filters that changed something, in order; the last one dropped the suggestion if it is gone."""


def apply_filters(text: str, context: CursorContext) -> Filtered:
    """Run ``text``, generated at the cursor of ``context``, through every filter."""
    steps: list[FilterStep] = []
    for filter_text in FILTERS:
        if not text:
            break
        filtered = filter_text(text, context)
        if filtered != text:
            steps.append(FilterStep(filter_text.__name__, text, filtered))
        text = filtered
    return Filtered(text, compute_replace_range(text, context), tuple(steps))
