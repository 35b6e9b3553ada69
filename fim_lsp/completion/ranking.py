"""Rank the suggestions for a cursor: filter each, drop those not worth showing, order the rest. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, frozen

from fim_lsp.code.cursor import CursorContext
from fim_lsp.code.syntax import count_syntax_errors
from fim_lsp.completion.cache import Suggestion
from fim_lsp.completion.filters import Filtered, apply_filters
from fim_lsp.settings import Settings
from fim_lsp.types import Completion


@frozen
class FilteredSuggestion:
    """A suggestion, its filtered text, and the reason why it is not shown."""

    suggestion: Suggestion
    filtered: Filtered
    completion: Completion
    dropped_because: str = ""
    chance: float = 1.0
    """Estimated chance that it is kept; 1 where none was estimated."""
    rest: str = field(default="", repr=False)
    """The text behind it, which is shown when it is accepted."""


def filter_suggestion(
    suggestion: Suggestion, context: CursorContext, selected_text: str, settings: Settings
) -> FilteredSuggestion:
    """Filter the text of a suggestion, and decide whether it is worth showing.

    Args:
        suggestion: the text of the model.
        context: the code around the cursor.
        selected_text: what the editor's popup would insert; the completion begins with it.
        settings: the least confidence, among others.
    """
    filtered = apply_filters(suggestion.text, context)
    because = ""
    if not filtered.text:
        because = filtered.steps[-1].name if filtered.steps else "the model wrote nothing"
    elif suggestion.confidence < settings.completion.min_confidence:
        because = "confidence below completion.minConfidence"
    completion = Completion(
        selected_text + filtered.text, filtered.replace_suffix_chars, suggestion.confidence
    )
    return FilteredSuggestion(suggestion, filtered, completion, because)


def rank(suggestions: Sequence[FilteredSuggestion], context: CursorContext) -> list[FilteredSuggestion]:
    """Return the suggestions that were not dropped, each text once, the best first.

    Those that leave fewer syntax errors around the cursor come first; for the rest the order stays.
    """
    shown: dict[str, FilteredSuggestion] = {}
    for suggestion in suggestions:
        if not suggestion.dropped_because:
            shown.setdefault(suggestion.completion.text, suggestion)
    if len(shown) < 2:
        return list(shown.values())

    def errors(suggestion: FilteredSuggestion) -> int:
        filtered = suggestion.filtered
        return count_syntax_errors(context, filtered.text, filtered.replace_suffix_chars)

    return sorted(shown.values(), key=errors)
