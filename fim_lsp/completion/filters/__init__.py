"""What becomes of the model's text before it is offered: a list of small pure filters, in order.

Each filter is one file and takes the text and the request to a new text; an empty text drops the
suggestion. The text continues ``request.prefix``, so what the editor's popup would insert
(``selected_text``) is not in it. Every filter looks at a few thousand characters around the cursor and no
more, so its cost doesn't grow with the document.

The completer drops suggestions of low confidence; that takes probabilities, which are not known here.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import field, frozen

from fim_lsp.completion.filters.blank import blank
from fim_lsp.completion.filters.convert_indentation import indentation
from fim_lsp.completion.filters.cut_suffix_overlap import suffix_overlap
from fim_lsp.completion.filters.drop_repeated_lines import suffix_lines
from fim_lsp.completion.filters.drop_unmatched_closers import brackets
from fim_lsp.completion.filters.lines_above import lines_above
from fim_lsp.completion.filters.newlines import newlines
from fim_lsp.completion.filters.replace_range import replaced
from fim_lsp.completion.filters.trim import trim
from fim_lsp.completion.filters.whole_lines import whole_lines
from fim_lsp.types import CompletionRequest

__all__ = ["FILTERS", "Filter", "FilterStep", "Postprocessed", "postprocess"]

Filter = Callable[[str, CompletionRequest], str]

FILTERS: tuple[tuple[str, Filter], ...] = (
    ("newlines", newlines),
    ("blank", blank),
    ("suffix_lines", suffix_lines),
    ("suffix_overlap", suffix_overlap),
    ("whole_lines", whole_lines),
    ("lines_above", lines_above),
    ("brackets", brackets),
    ("indentation", indentation),
    ("trim", trim),
)


@frozen
class FilterStep:
    """What one filter changed, for ``fimLsp.explain``."""

    name: str
    before: str = field(repr=False)
    after: str = field(repr=False)


@frozen
class Postprocessed:
    """A suggestion as the editor gets it, and how it came about."""

    text: str
    """With ``\\n`` as its line break; empty if a filter dropped it."""
    replace_suffix_chars: int = 0
    """Characters after the cursor, on its line, that the text repeats and so replaces."""
    steps: tuple[FilterStep, ...] = ()
    """The filters that changed something, in order; the last one dropped the suggestion if it is gone."""


def postprocess(text: str, request: CompletionRequest) -> Postprocessed:
    """Run ``text``, generated at the cursor of ``request``, through every filter."""
    steps: list[FilterStep] = []
    for name, filter_text in FILTERS:
        if not text:
            break
        filtered = filter_text(text, request)
        if filtered != text:
            steps.append(FilterStep(name, text, filtered))
        text = filtered
    return Postprocessed(text, replaced(text, request), tuple(steps))
