"""Make answers: filter, choose and rank the suggestions for a query, and explain the outcome. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from fim_lsp.completion.cache import Suggestion
from fim_lsp.completion.explain import Answer, Explanation, Source
from fim_lsp.completion.prompts import candidates_for
from fim_lsp.completion.query import Query
from fim_lsp.completion.ranking import FilteredSuggestion, filter_suggestion, rank
from fim_lsp.completion.showing.choice import Judge, choose, keep_shown
from fim_lsp.experiment import arm_label


def make_answer(
    query: Query,
    suggestion: Suggestion,
    source: Source,
    judge: Judge,
    left: str = "",
    delay_ms: float = 0.0,
) -> Answer:
    """Return the answer that the text of the model makes, with its explanation.

    Args:
        query: what was asked.
        suggestion: the text of the model, with its alternatives.
        source: its origin.
        judge: decides what is worth showing while typing.
        left: the part of the shown suggestion that is not typed yet; only what begins with it may replace it.
        delay_ms: the debounce.
    """
    request, context = query.request, query.context
    filtered = [
        filter_suggestion(each, context, request.selected_text, query.settings) for each in suggestion.all
    ]
    if query.automatic:
        filtered = [choose(each, query, judge) for each in filtered]
        if left:
            filtered = [keep_shown(filtered[0], left, query)]
    shown = rank(filtered, context)[: candidates_for(request, query.settings)]
    return _explained(query, suggestion, source, shown, (shown or filtered)[0], delay_ms)


def silent_answer(query: Query, because: str) -> Answer:
    """Return the answer where nothing is looked for."""
    explanation = Explanation(
        query.uri,
        query.request.cursor_line,
        source="silent",
        adapters=query.adapters,
        dropped_because=because,
    )
    return Answer(None, explanation)


def _explained(
    query: Query,
    suggestion: Suggestion,
    source: Source,
    shown: Sequence[FilteredSuggestion],
    first: FilteredSuggestion,
    delay_ms: float,
) -> Answer:
    explanation = evolve(
        first.suggestion.explanation,
        uri=query.uri,
        line=query.request.cursor_line,
        source=source,
        delay_ms=delay_ms,
        timings=suggestion.explanation.timings,
        adapters=suggestion.adapters,
        arm=arm_label(query.settings.experiment, query.uri),
        generated=first.suggestion.text,
        steps=first.filtered.steps,
        shown=first.completion.text if shown else None,
        alternatives=tuple(each.completion.text for each in shown[1:]),
        dropped_because=first.dropped_because,
        confidence=first.suggestion.confidence,
        chance=first.chance,
    )
    if not shown:
        return Answer(None, explanation, first.suggestion)
    alternatives = tuple(each.completion for each in shown[1:])
    completion = evolve(first.completion, alternatives=alternatives)
    return Answer(completion, explanation, first.suggestion, first.rest)
