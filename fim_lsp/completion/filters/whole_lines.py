"""Filter: the line break between whole lines and the line that they go before."""

from __future__ import annotations

from fim_lsp.code.cursor import surroundings
from fim_lsp.completion.filters.replace_range import only_closers
from fim_lsp.types import CompletionRequest


def whole_lines(text: str, request: CompletionRequest) -> str:
    """End text of several lines before all the code of a line, which moves down as it stands.

    A model leaves that break out now and then, as it sees the code behind the cursor begin a line.
    """
    around = surroundings(request)
    if around.line_prefix.strip() or only_closers(around.rest) or "\n" not in text or text != text.rstrip():
        return text
    return f"{text}\n{around.line_prefix}"
