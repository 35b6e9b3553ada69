"""Filter: blanks at the end, which nobody sees until they are in the way."""

from __future__ import annotations

from fim_lsp.completion.postprocess.replaced import only_closers, replaced
from fim_lsp.completion.postprocess.surroundings import surroundings
from fim_lsp.types import CompletionRequest

_CLOSING = frozenset(")]}>")


def trim(text: str, request: CompletionRequest) -> str:
    """Strip trailing blanks, but not those that part the text from what follows on the cursor's line.

    A last line break stays where the rest of the line belongs on a line of its own: code that the text goes
    before, or the closer of a text of several lines.
    """
    stripped = text.rstrip()
    tail = text[len(stripped) :]
    if not tail or not stripped:
        return stripped
    rest = surroundings(request).rest[replaced(stripped, request) :].lstrip()
    if not rest:
        return stripped
    is_code = not only_closers(rest[0])
    if "\n" in tail and (is_code or ("\n" in stripped and rest[0] in _CLOSING)):
        return stripped + tail[tail.rfind("\n") :]
    return text if is_code and "\n" not in tail else stripped
