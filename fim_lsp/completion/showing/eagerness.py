"""Turn the settings into rules: what the eagerness says, but for the parts that are set by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attrs import evolve, frozen

from fim_lsp.showing_settings import Eagerness, ShowingSettings, Where


@frozen
class ShowingRules:
    """When suggestions are shown while typing. The fields are those of :class:`ShowingSettings`."""

    min_chance: float
    confident_chance: float
    within_words: Where
    within_lines: Where
    comments: Where
    strings: Where
    new_lines: Where
    while_deleting: bool
    cooldown_ms: float
    appear_after_ms: float
    one_line_first: bool
    piece_lines: int


_RULES: Mapping[Eagerness, ShowingRules] = MappingProxyType(
    {
        "subtle": ShowingRules(
            min_chance=0.35,
            confident_chance=0.5,
            within_words="never",
            within_lines="never",
            comments="never",
            strings="confident",
            new_lines="never",
            while_deleting=False,
            cooldown_ms=3000,
            appear_after_ms=300,
            one_line_first=True,
            piece_lines=3,
        ),
        "normal": ShowingRules(
            min_chance=0.05,
            confident_chance=0.1,
            within_words="confident",
            within_lines="confident",
            comments="confident",
            strings="confident",
            new_lines="never",
            while_deleting=False,
            cooldown_ms=1000,
            appear_after_ms=150,
            one_line_first=True,
            piece_lines=6,
        ),
        "eager": ShowingRules(
            min_chance=0.0,
            confident_chance=0.1,
            within_words="always",
            within_lines="always",
            comments="always",
            strings="always",
            new_lines="always",
            while_deleting=True,
            cooldown_ms=0,
            appear_after_ms=0,
            one_line_first=False,
            piece_lines=1000,
        ),
    }
)

_PLACES = ("within_words", "within_lines", "comments", "strings", "new_lines")
_NUMBERS = (
    "min_chance",
    "confident_chance",
    "while_deleting",
    "cooldown_ms",
    "appear_after_ms",
    "one_line_first",
    "piece_lines",
)


def rules_for(settings: ShowingSettings) -> ShowingRules:
    """Return the rules of an eagerness, with the parts that are set by themselves.

    Example: ``eager`` with ``comments`` ``never`` shows everything but what is in comments.
    """
    rules = _RULES[settings.eagerness]
    where = {name: value for name in _PLACES if (value := getattr(settings, name)) != "auto"}
    parts = {name: value for name in _NUMBERS if (value := getattr(settings, name)) is not None}
    return evolve(rules, **where, **parts)
