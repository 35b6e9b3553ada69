"""The facts about a suggestion from which the chance that it is kept is estimated. Pure.

All of them are known once the text is: nothing is asked of the model again. ``training.confidence`` computes
the same values when it fits the weights. Probabilities are those that the tokens were drawn with, whatever
votes are mixed into them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

from attrs import frozen

from fim_lsp.code.cursor import CursorContext
from fim_lsp.code.lines import indent_width
from fim_lsp.completion.cache import ScoredToken, Suggestion
from fim_lsp.completion.showing.places import Place

KnowsName = Callable[[str], bool]
"""Tells whether a name stands anywhere else in the workspace."""

_LEAST_PROBABILITY = 1e-4
_END_TOKENS = 3
"""Tokens at the end whose entropy counts."""
_NAME = re.compile(r"[^\W\d]\w{2,}")
"""Names of at least three characters: shorter ones stand everywhere."""


def no_names(_: str) -> bool:
    """Know no name: there is no index of the workspace."""
    return False


@frozen
class Facts:
    """The facts that the features of all parts of one suggestion share."""

    suggestion: Suggestion
    text: str
    """After the filters."""
    context: CursorContext
    place: Place
    knows_name: KnowsName = no_names


def features_of(facts: Facts, end: int) -> dict[str, float]:
    """Return the features of the first ``end`` characters of a suggestion, by name."""
    part = facts.text[:end]
    tokens = _tokens_of(facts.suggestion, part)
    logs = [math.log(max(token.probability, _LEAST_PROBABILITY)) for token in tokens] or [0.0]
    entropies = [token.entropy for token in tokens] or [0.0]
    context, place = facts.context, facts.place
    ended = end == len(facts.text) and facts.suggestion.end_probability > 0
    end_log = math.log(max(facts.suggestion.end_probability, _LEAST_PROBABILITY)) if ended else 0.0
    below = part.lstrip(" \t").startswith("\n")
    names = set(_NAME.findall(part))
    unknown = sum(not _is_known(name, facts) for name in names)
    return {
        "sum_log": max(sum(logs), -12.0),
        "mean_log": sum(logs) / len(logs),
        "min_log": min(logs),
        "first_log": logs[0],
        "end_entropy": sum(entropies[-_END_TOKENS:]) / len(entropies[-_END_TOKENS:]),
        "max_entropy": max(entropies),
        "ended": float(ended),
        "end_log": end_log,
        "length": math.log1p(len(part.strip())),
        "lines": float(part.strip().count("\n")),
        "unknown": float(min(unknown, 3)),
        "in_word": float(place is Place.WORD),
        "in_line": float(place is Place.LINE),
        "in_text": float(place in (Place.COMMENT, Place.STRING)),
        "below": float(below),
        "below_log": sum(logs) / len(logs) if below else 0.0,
        "blank_line": float(not context.line_prefix.strip()),
        "goes_on": float(_goes_on(context)),
        "below_goes_on": float(below and _goes_on(context)),
    }


def in_order(features: Mapping[str, float], names: Sequence[str]) -> list[float]:
    """Return the values of some features."""
    return [features[name] for name in names]


def _tokens_of(suggestion: Suggestion, part: str) -> list[ScoredToken]:
    """Return the tokens that a part was made of.

    Filters change blanks, so the characters that are none are counted.
    """
    wanted = _count_filled(part)
    found: list[ScoredToken] = []
    start = filled = 0
    for token in suggestion.tokens:
        if filled >= wanted and found:
            break
        found.append(token)
        filled += _count_filled(suggestion.text[start : token.end])
        start = token.end
    return found


def _count_filled(text: str) -> int:
    return sum(not char.isspace() for char in text)


def _is_known(name: str, facts: Facts) -> bool:
    near = facts.context.wide
    return name in near.before or name in near.after or facts.knows_name(name)


def _goes_on(context: CursorContext) -> bool:
    """Tell whether the next line stands right below the cursor's, as deep or deeper."""
    below = context.lines_below[0] if context.lines_below else ""
    own = context.line_prefix
    deep = indent_width(below, context.tab_size) >= indent_width(own, context.tab_size)
    return bool(below.strip()) and deep
