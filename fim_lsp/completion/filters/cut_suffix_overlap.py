"""Filter of the end of a suggestion that is the beginning of the suffix."""

from __future__ import annotations

from fim_lsp.code.brackets import Pairing, pair
from fim_lsp.code.cursor import CursorContext
from fim_lsp.code.lines import is_word, only_closers
from fim_lsp.completion.filters.replace_range import compute_replace_range

_MOST_OVERLAP = 512
"""Characters of the suffix that are compared."""
_LEAST_SHARED = 3
"""Visible characters of an overlap inside a word, or with the next line in which a text broke off."""
_LEAST_SIGNS = 3
"""Characters of an overlap without a word in it: one ``=`` before another may be ``==``."""


def cut_suffix_overlap(text: str, context: CursorContext) -> str:
    """Cut where the text begins to repeat what follows the cursor.

    Bare closers on the cursor's line are left to the replace range, which keeps them where the text has
    them: for ``{|}`` the text's ``}`` stands on a line of its own. Text of several lines inside a line keeps
    only its first line, where it doesn't lead up to the code behind the cursor.

    Example: before `` + tax`` the text ``price + tax`` becomes ``price``.
    """
    first, line_break, _ = text.partition("\n")
    if line_break and context.line_prefix.strip() and first.strip() == context.line_suffix.strip():
        # The text begins with the rest of the line and goes on below: the replace range takes that.
        return text
    pairing = pair(context.scan_inserted(text).marks)
    cut = _find_overlap(text, pairing, context)
    if cut is not None:
        # ` a } from "x"` before `} from "x"`: its own spaces survive if it replaces the rest of the line.
        keeps_blank = text[:cut].strip() and text[cut - 1 : cut].isspace() and "\n" not in text
        return text if keeps_blank and text[cut:] == context.line_suffix else text[:cut]
    closes = only_closers(context.line_suffix) or context.line_suffix.lstrip().startswith("</")
    if closes or not text.rpartition("\n")[2].strip():
        return text
    if compute_replace_range(text, context):
        return text
    return text.partition("\n")[0] if context.line_prefix.strip() else text


def _find_overlap(text: str, pairing: Pairing, context: CursorContext) -> int | None:
    """Return where the text begins to repeat the suffix, or None if it does not.

    A cut through a pair of the text's own brackets is good only if as many openers lack before the cursor.
    """
    suffix = _suffix(context)
    for length in range(min(len(text), len(suffix)), 0, -1):
        cut = len(text) - length
        if not text.endswith(suffix[:length]):
            continue
        if not _is_repeat(text[cut:], context.line_prefix + text[:cut], suffix, context.line_suffix):
            continue
        across = pairing.across(cut)
        if not across or across == context.lacking_openers:
            return cut
    return None


def _suffix(context: CursorContext) -> str:
    """Return what follows the cursor, without the blank lines between it and the next line."""
    below = "\n".join(context.lines_below).lstrip("\n")
    return f"{context.line_suffix}\n{below}"[:_MOST_OVERLAP] if below or context.line_suffix else ""


def _is_repeat(overlap: str, before: str, suffix: str, line_suffix: str) -> bool:
    """Tell whether the overlap is long enough, and of whole words, to be no coincidence.

    All of the rest of the cursor's line may begin inside a word: the text then spells the whole line.
    """
    if not line_suffix:
        return len(overlap.strip()) >= _LEAST_SHARED
    if only_closers(overlap) or (len(overlap) < _LEAST_SIGNS and not any(map(is_word, overlap))):
        return False
    whole = len(overlap.strip()) >= _LEAST_SHARED and overlap.startswith(line_suffix)
    begins_inside = not whole and is_word(overlap[0]) and is_word(before[-1:] or " ")
    ends_inside = is_word(overlap[-1]) and is_word(suffix[len(overlap) : len(overlap) + 1] or " ")
    return not begins_inside and (not ends_inside or len(overlap.strip()) >= _LEAST_SHARED)
