"""Filter: whole lines that already stand below the cursor."""

from __future__ import annotations

from fim_lsp.completion.postprocess.lexical import scan
from fim_lsp.completion.postprocess.pairing import pair
from fim_lsp.completion.postprocess.replaced import is_word
from fim_lsp.completion.postprocess.surroundings import Surroundings, surroundings
from fim_lsp.types import CompletionRequest


def suffix_lines(text: str, request: CompletionRequest) -> str:
    """Cut before the first line that equals the next line of the document, indentation included.

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

    The first line continues the cursor's. Bare closers after typed text are not held against it: ``}`` may
    well be due twice.
    """
    if start:
        return line.rstrip() == next_line
    full = (line_prefix + line).rstrip()
    return full == next_line and (not line_prefix.strip() or any(map(is_word, line)))


def _closes_own(text: str, start: int, request: CompletionRequest, around: Surroundings) -> bool:
    language = request.document.language_id
    return pair(scan(text, language, scan(around.before, language).inside).marks).across(start)
