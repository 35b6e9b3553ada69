"""A simulated typist: types the true text, accepts what is right, and ignores what is wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from attrs import define, frozen


@frozen
class ShownText:
    """A suggestion on the screen."""

    text: str
    """The text that would appear behind the cursor; empty for none."""
    replaced: int = 0
    """Characters behind the cursor that it replaces."""


@frozen
class Pace:
    """The pace of a person, who does not wait for suggestions. In seconds."""

    key: float
    """From one key to the next. 0.2 is 60 words a minute."""
    before: float = 0.7
    """From placing the cursor to the first key."""


@frozen
class Typing:
    """The outcome of one hole that was typed."""

    characters: int
    """Length of the true text that was typed or accepted."""
    saved: int
    """Characters that did not have to be typed; accepting costs one."""
    wrong: int
    """Suggestions that were shown and not right. One that stays while its beginning is typed counts once."""


Look = Callable[[str], Awaitable[ShownText]]
"""From the part of the middle that is written to what is shown behind it."""


@define
class _Hand:
    """The state of the typing."""

    written: int = 0
    saved: int = 0
    wrong: int = 0
    expected: str = ""
    """The rest of the last suggestion, were it typed along."""


def right_part(shown: ShownText, rest: str, suffix: str) -> int:
    """Return how many characters of the true text an acceptance would write; 0 if it would break it.

    A first line that is right is accepted alone, as editors allow.

    Args:
        shown: the suggestion.
        rest: the true text that is still missing.
        suffix: the text behind the hole.
    """
    text = shown.text
    if not text.strip():
        return 0
    if text + suffix[shown.replaced :] == rest + suffix:
        return len(rest)
    if shown.replaced:
        return 0
    if rest.startswith(text):
        return len(text)
    line = text.partition("\n")[0]
    whole = line.strip() and (rest == line or rest.startswith(line + "\n"))
    return len(line) if whole else 0


async def type_text(middle: str, suffix: str, look: Look, most: int) -> Typing:
    """Type a hole's text key by key, and look at what is shown behind each key and before the first.

    Args:
        middle: the true text.
        suffix: the text behind the hole.
        look: shows what the server suggests.
        most: characters that are typed at most, as holes may be long.
    """
    middle = middle[:most]
    hand = _Hand()
    while hand.written < len(middle):
        rest = middle[hand.written :]
        shown = await look(middle[: hand.written])
        right = right_part(shown, rest, suffix)
        if right > 1:
            hand.saved += right - 1
            hand.written += right
            hand.expected = ""
            continue
        if shown.text.strip() and shown.text != hand.expected:
            hand.wrong += 1
        hand.expected = shown.text[1:] if shown.text.startswith(rest[0]) else ""
        hand.written += 1
    return Typing(len(middle), hand.saved, hand.wrong)
