"""Choose what of a suggestion is shown while typing: all of it, a part, or nothing. Pure."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from fim_lsp.completion.filters import FilterStep
from fim_lsp.completion.filters.replace_range import compute_replace_range
from fim_lsp.completion.query import Query
from fim_lsp.completion.ranking import FilteredSuggestion
from fim_lsp.completion.showing.cuts import cut_to_parsing_lines, cut_to_piece
from fim_lsp.completion.showing.places import allowed_at, find_place
from fim_lsp.types import Completion

_CONFIDENT = 0.85
"""Mean probability of the tokens from which the model counts as confident."""


def choose(
    suggestion: FilteredSuggestion, query: Query, is_refused: Callable[[str], bool]
) -> FilteredSuggestion:
    """Shorten a filtered suggestion to what is worth showing, or drop it and say why."""
    if suggestion.dropped_because:
        return suggestion
    whole = cut_to_parsing_lines(suggestion.filtered.text, query.context)
    chosen = _shortened(suggestion, "cut_to_parsing_lines", whole, query)
    piece = cut_to_piece(whole, query.context, query.rules.piece_lines)
    chosen = evolve(_shortened(chosen, "cut_to_piece", piece, query), rest=whole[len(piece) :])
    if is_refused(piece):
        return evolve(chosen, dropped_because="the user refused it here")
    place = find_place(query.context)
    unsure = suggestion.suggestion.confidence < _CONFIDENT
    if allowed_at(place, query.rules) == "confident" and unsure:
        return evolve(chosen, dropped_because=f"not sure enough: the cursor is {place.value}")
    return chosen


def keep_shown(suggestion: FilteredSuggestion, left: str, query: Query) -> FilteredSuggestion:
    """Keep what is left of the shown suggestion, unless the new one begins with it.

    Example: where ``(x)`` is left of what is shown, ``(x) + 1`` takes its place and ``(y)`` does not.
    """
    shown = "" if suggestion.dropped_because else suggestion.filtered.text
    if shown.startswith(left):
        return suggestion
    kept = _shortened(suggestion, "keep_shown", left, query)
    return evolve(kept, dropped_because="", rest="")


def _shortened(suggestion: FilteredSuggestion, step: str, text: str, query: Query) -> FilteredSuggestion:
    """Return the suggestion with another text, and the step that changed it."""
    before = suggestion.filtered.text
    if text == before:
        return suggestion
    replaced = compute_replace_range(text, query.context)
    steps = (*suggestion.filtered.steps, FilterStep(step, before, text))
    filtered = evolve(suggestion.filtered, text=text, replace_suffix_chars=replaced, steps=steps)
    completion = Completion(query.request.selected_text + text, replaced, suggestion.suggestion.confidence)
    return evolve(suggestion, filtered=filtered, completion=completion)
