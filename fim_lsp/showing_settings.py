"""The settings that decide when a suggestion is shown while typing.

``completion.eagerness`` is for all users; each of the others replaces one part of what it says. The values
that belong to each eagerness are in :mod:`fim_lsp.completion.showing.eagerness`.
"""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from fim_lsp.setting_fields import setting

Eagerness = Literal["subtle", "normal", "eager"]
Where = Literal["auto", "always", "confident", "never"]
"""Whether suggestions are shown at a kind of place; ``auto`` means: as the eagerness says."""


@frozen
class ShowingSettings:
    """When suggestions are shown while typing. A suggestion invoked by a key is always shown."""

    eagerness: Eagerness = setting(
        "normal",
        "Readiness to show suggestions while typing: subtle shows few and sure ones, eager shows what there "
        "is.",
        common=True,
    )
    min_chance: float | None = setting(
        None,
        "Least estimated chance that a suggestion is kept; one with less is cut to a part with more, or "
        "hidden. 0 hides none. null does as completion.eagerness says.",
        at_least=0,
        at_most=1,
    )
    confident_chance: float | None = setting(
        None,
        "Least estimated chance where suggestions are shown only if they are confident. null does as "
        "completion.eagerness says.",
        at_least=0,
        at_most=1,
    )
    within_words: Where = setting("auto", "Suggestions in the middle of a word.")
    within_lines: Where = setting("auto", "Suggestions in front of other code on the same line.")
    comments: Where = setting("auto", "Suggestions in comments.")
    strings: Where = setting("auto", "Suggestions in strings, docstrings among them.")
    new_lines: Where = setting(
        "auto", "Suggestions that begin a new line where the line in front of the cursor may be complete."
    )
    while_deleting: bool | None = setting(
        None, "Show suggestions after a deletion too. null does as completion.eagerness says."
    )
    cooldown_ms: float | None = setting(
        None,
        "Time without suggestions after one was dismissed, in milliseconds. null does as "
        "completion.eagerness says.",
        at_least=0,
        at_most=60_000,
    )
    appear_after_ms: float | None = setting(
        None,
        "Earliest time after a key at which a suggestion takes the place of another that the key made wrong, "
        "in milliseconds. null does as completion.eagerness says.",
        at_least=0,
        at_most=5000,
    )
    one_line_first: bool | None = setting(
        None,
        "Suggest a single line where no block begins, and more after one is accepted. null does as "
        "completion.eagerness says.",
    )
    piece_lines: int | None = setting(
        None,
        "Number of lines shown at once; the rest of a longer suggestion follows when they are accepted. null "
        "does as completion.eagerness says.",
        at_least=1,
    )
