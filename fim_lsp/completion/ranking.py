"""Which of the things that the model said are worth showing. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from fim_lsp.code.syntax import syntax_errors
from fim_lsp.completion.cache import Suggestion
from fim_lsp.completion.filters import Postprocessed, postprocess
from fim_lsp.settings import Settings
from fim_lsp.types import Completion, CompletionRequest


@frozen
class RankedSuggestion:
    """A suggestion, what the filters made of it, and why it is not shown."""

    suggestion: Suggestion
    filtered: Postprocessed
    completion: Completion
    dropped_because: str = ""


def judge(suggestion: Suggestion, request: CompletionRequest, settings: Settings) -> RankedSuggestion:
    """Filter what was said, and decide whether it is worth showing."""
    filtered = postprocess(suggestion.text, request)
    because = ""
    if not filtered.text:
        because = filtered.steps[-1].name if filtered.steps else "the model had nothing to say"
    elif suggestion.confidence < settings.completion.min_confidence:
        because = "confidence below completion.minConfidence"
    completion = Completion(
        request.selected_text + filtered.text, filtered.replace_suffix_chars, suggestion.confidence
    )
    return RankedSuggestion(suggestion, filtered, completion, because)


def worth_showing(judged: Sequence[RankedSuggestion], request: CompletionRequest) -> list[RankedSuggestion]:
    """Those that were not dropped, each text once.

    What leaves fewer syntax errors around the cursor comes first; for the rest the order stays.
    """
    shown: dict[str, RankedSuggestion] = {}
    for one in judged:
        if not one.dropped_because:
            shown.setdefault(one.completion.text, one)
    if len(shown) < 2:
        return list(shown.values())

    def errors(one: RankedSuggestion) -> int:
        return syntax_errors(request, one.filtered.text, one.filtered.replace_suffix_chars)

    return sorted(shown.values(), key=errors)
