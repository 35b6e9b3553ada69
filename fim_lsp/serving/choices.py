"""From generations to the choices of an answer."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from fim_lsp.code.cursor import CursorContext
from fim_lsp.completion.cache import Suggestion
from fim_lsp.completion.ranking import filter_suggestion
from fim_lsp.engine.base import EngineError
from fim_lsp.serving.orders import Choice, Outcome
from fim_lsp.settings import Settings
from fim_lsp.types import FinishReason, Generation


def check_ended(generations: Sequence[Generation]) -> None:
    """Raise an error for a generation that was cut off because the model went away."""
    if not generations or generations[0].finish_reason is FinishReason.CANCELLED:
        raise EngineError("The model was unloaded while the request ran.", "Try again later.")


def insertable(suggestion: Suggestion, context: CursorContext, settings: Settings) -> Choice:
    """Return a filtered suggestion as text to insert: clients replace nothing behind the cursor."""
    completion = filter_suggestion(suggestion, context, "", settings)
    if completion.dropped_because:
        return Choice("", "rule")
    text, replaced = completion.completion.text, completion.completion.replace_suffix_chars
    behind = context.line_suffix[:replaced]
    if behind and text.endswith(behind):
        text = text[: -len(behind)]
    return Choice(text, "rule")


def cut_at_stop(choice: Choice, stops: Sequence[str]) -> Choice:
    """End a choice in front of its first stop string."""
    found = [(choice.text.index(stop), stop) for stop in stops if stop in choice.text]
    if not found:
        return choice
    end, stop = min(found)
    return evolve(choice, text=choice.text[:end], ended_by="stop", stop=stop)


def joined(outcome: Outcome, later: Outcome) -> Outcome:
    """Add the choices of a second generation, for which the prompt was in the KV cache."""
    if not outcome.choices:
        return later
    return Outcome((*outcome.choices, *later.choices), outcome.timings.then(later.timings))
