"""Choose what of a suggestion is shown while typing: all of it, a part, or nothing. Pure."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve, frozen

from fim_lsp.completion.filters import FilterStep
from fim_lsp.completion.filters.replace_range import compute_replace_range
from fim_lsp.completion.query import Query
from fim_lsp.completion.ranking import FilteredSuggestion
from fim_lsp.completion.showing.chance import ChanceModel
from fim_lsp.completion.showing.cuts import (
    cut_to_parsing_lines,
    cut_to_parsing_part,
    cut_to_piece,
)
from fim_lsp.completion.showing.decision import decide
from fim_lsp.completion.showing.features import Facts, KnowsName, no_names
from fim_lsp.completion.showing.places import Place, chance_for, find_place, least_chance, may_end_line
from fim_lsp.showing_settings import Where
from fim_lsp.types import Completion

IsRefused = Callable[[str], bool]
"""Tells whether the user has refused a text at the cursor."""


@frozen
class Judge:
    """The facts that a choice depends on besides the query."""

    is_refused: IsRefused
    model: ChanceModel
    shift: float = 0.0
    """Of the estimates, by the user's own accepts and refusals."""
    knows_name: KnowsName = no_names
    accepted: bool = False
    """True if the user has just accepted what stands in front of the cursor, and may want more."""


def choose(suggestion: FilteredSuggestion, query: Query, judge: Judge) -> FilteredSuggestion:
    """Shorten a filtered suggestion to what is worth showing, or drop it and say why."""
    if suggestion.dropped_because:
        return suggestion
    context, rules = query.context, query.rules
    whole = cut_to_parsing_lines(suggestion.filtered.text, context)
    chosen = _shortened(suggestion, "cut_to_parsing_lines", whole, query)
    ends_line = whole.lstrip(" \t").startswith("\n") and not judge.accepted and may_end_line(context)
    new_line: Where = rules.new_lines if ends_line else "always"
    if new_line == "never":
        return evolve(chosen, dropped_because="it begins a new line (completion.newLines)")
    facts = Facts(suggestion.suggestion, whole, context, find_place(context), judge.knows_name)
    least = max(least_chance(facts.place, rules), chance_for(new_line, rules))
    decision = decide(facts, judge.model, least, judge.shift)
    chosen = evolve(chosen, chance=decision.chance)
    if not decision.end:
        return evolve(chosen, dropped_because=_unlikely(decision.chance, least, facts.place))
    likely = whole[: decision.end]
    chosen = _shortened(chosen, "cut_to_likely_part", likely, query)
    piece = cut_to_piece(likely, context, rules.piece_lines)
    chosen = evolve(_shortened(chosen, "cut_to_piece", piece, query), rest=whole[len(piece) :])
    parsing = cut_to_parsing_part(piece, context)
    if not parsing:
        return evolve(chosen, dropped_because="it adds a syntax error")
    if parsing != piece:
        chosen = evolve(_shortened(chosen, "cut_to_parsing_part", parsing, query), rest="")
    return evolve(chosen, dropped_because="the user refused it here") if judge.is_refused(parsing) else chosen


def _unlikely(chance: float, least: float, place: Place) -> str:
    setting = "completion.eagerness, minChance"
    where = "" if place is Place.CODE else f", as the cursor is {place.value}"
    return f"its chance of being kept is {chance:.2f}, less than {least:.2f}{where} ({setting})"


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
