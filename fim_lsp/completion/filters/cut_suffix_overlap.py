"""Filter: the end of the suggestion that is the beginning of the suffix."""

from __future__ import annotations

from fim_lsp.code.brackets import enclosing
from fim_lsp.code.cursor import Surroundings, surroundings
from fim_lsp.code.lexical import scan
from fim_lsp.code.pairing import Pairing, pair
from fim_lsp.completion.filters.replace_range import is_word, only_closers, replaced
from fim_lsp.types import CompletionRequest

_MOST_OVERLAP = 512
_LEAST_SHARED = 3
"""Visible characters of an overlap inside a word, or with the next line in which a text broke off."""

_LEAST_SIGNS = 3
"""Characters of an overlap without a word in it: one ``=`` before another may be ``==``."""


def suffix_overlap(text: str, request: CompletionRequest) -> str:
    """Cut where the text begins to repeat what follows the cursor.

    Bare closers on the cursor's line are left to the replace range, which keeps them where the text has
    them: for ``{|}`` the text's ``}`` stands on a line of its own. Text of several lines inside a line keeps
    only its first line, where it doesn't lead up to the code behind the cursor.
    """
    around = surroundings(request)
    language = request.document.language_id
    pairing = pair(scan(text, language, scan(around.before, language).inside).marks)
    cut = _overlap(text, pairing, around, request)
    if cut is not None:
        return text[:cut]
    if only_closers(around.rest) or replaced(text, request) or not text.rpartition("\n")[2].strip():
        return text
    return text.partition("\n")[0] if around.line_prefix.strip() else text


def _lacking(around: Surroundings, request: CompletionRequest) -> int:
    """How many closers on the rest of the line close nothing: the text is to bring their openers."""
    brackets = enclosing(request)
    closers = [closer for closer in brackets.closers if closer.at < len(around.rest)]
    return len(closers) - brackets.matched(brackets.openers, closers)


def _overlap(text: str, pairing: Pairing, around: Surroundings, request: CompletionRequest) -> int | None:
    """Where the text begins to repeat the suffix; brackets that it closes there are open, if as many lack."""
    suffix = _suffix(around)
    for length in range(min(len(text), len(suffix)), 0, -1):
        cut = len(text) - length
        repeats = text.endswith(suffix[:length]) and _is_repeat(
            text[cut:], around.line_prefix + text[:cut], suffix, around.rest
        )
        if not repeats:
            continue
        across = pairing.across(cut)
        if not across or across == _lacking(around, request):
            return cut
    return None


def _suffix(around: Surroundings) -> str:
    """What follows the cursor, without the blank lines between it and the next line."""
    below = "\n".join(around.lines_below).lstrip("\n")
    return f"{around.rest}\n{below}"[:_MOST_OVERLAP] if below or around.rest else ""


def _is_repeat(overlap: str, before: str, suffix: str, rest: str) -> bool:
    """Whether what overlaps is long enough, and of whole words, to be no coincidence.

    All of the rest of the cursor's line may begin inside a word: the line is then what the text says it is.
    """
    if not rest:
        return len(overlap.strip()) >= _LEAST_SHARED
    if only_closers(overlap) or (len(overlap) < _LEAST_SIGNS and not any(map(is_word, overlap))):
        return False
    whole = len(overlap.strip()) >= _LEAST_SHARED and overlap.startswith(rest)
    begins_inside = not whole and is_word(overlap[0]) and is_word(before[-1:] or " ")
    ends_inside = is_word(overlap[-1]) and is_word(suffix[len(overlap) : len(overlap) + 1] or " ")
    return not begins_inside and (not ends_inside or len(overlap.strip()) >= _LEAST_SHARED)
