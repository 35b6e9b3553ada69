"""Filter: whole lines that already stand below the cursor."""

from __future__ import annotations

from fim_lsp.code.cursor import Surroundings, surroundings
from fim_lsp.code.lexical import scan
from fim_lsp.code.pairing import pair
from fim_lsp.completion.filters.replace_range import is_word
from fim_lsp.types import CompletionRequest


def suffix_lines(text: str, request: CompletionRequest) -> str:
    """Cut before the first line that repeats the next line of the document.

    A line that closes a bracket which the suggestion itself opened stays: it only looks like the one below.
    """
    around = surroundings(request)
    if not around.next_line:
        return text
    start = 0
    for line in text.split("\n"):
        if repeats_next_line(line, start, around.line_prefix, around.next_line) and not _closes_own(
            text, start, request, around
        ):
            return text[:start]
        start += len(line) + 1
    return text


def repeats_next_line(line: str, start: int, line_prefix: str, next_line: str) -> bool:
    """Whether a line of a suggestion, beginning at ``start`` in it, is the next line of the document.

    The same words less deep repeat it too: between the two nothing opens the block that the next line is in.
    Deeper they may be meant, as a ``return`` inside of a condition. The first line continues the cursor's.
    Bare closers after typed text are not held against it: ``}`` may well be due twice.
    """
    full = line.rstrip() if start else (line_prefix + line).rstrip()
    has_words = any(map(is_word, line))
    if full == next_line:
        return bool(start) or not line_prefix.strip() or has_words
    return has_words and _shallower(full, next_line)


def _shallower(line: str, other: str) -> bool:
    """Whether ``other`` is ``line`` with more indentation."""
    words, lead = line.lstrip(), line[: len(line) - len(line.lstrip())]
    return other.endswith(words) and not other[: -len(words)].strip() and other.startswith(lead)


def _closes_own(text: str, start: int, request: CompletionRequest, around: Surroundings) -> bool:
    language = request.document.language_id
    return pair(scan(text, language, scan(around.before, language).inside).marks).across(start) > 0
