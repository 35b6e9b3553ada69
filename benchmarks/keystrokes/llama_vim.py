"""Build the requests that llama.vim sends to llama-server, and cache suggestions as it does.

This follows llama.vim's sources of January 2026 and its default settings, with these exceptions, all in its
favour or needed for the comparison: decoding is greedy; answers are streamed, so that the first token is
seen; an outdated request is dropped by closing its connection, while llama.vim waits for its end and looks
again every 100 ms; the request ahead, for the text after a suggestion, is sent only while the user looks at
it; no chunks of other files are sent (``ring_n_chunks = 0``), because fim-lsp sends none in this benchmark
either.
"""

from __future__ import annotations

from typing import Any

from attrs import field, frozen
from cachetools import LRUCache

_PREFIX_LINES, _SUFFIX_LINES = 256, 64
_MOST_LINE_SUFFIX = 8
"""Characters: with more text after the cursor on its line no request is sent while typing."""
_LOOK_BACK = 128
_CACHE_SIZE = 250
_SCROLLED = 3
"""Number of first lines that may be missing because the view was scrolled since."""


@frozen
class LocalContext:
    """The lines around a cursor."""

    prefix: str = field(repr=False)
    middle: str = field(repr=False)
    suffix: str = field(repr=False)
    indent: int = 0
    line_suffix: str = field(default="", repr=False)

    @property
    def asks(self) -> bool:
        """True if a request is sent while typing."""
        return len(self.line_suffix) <= _MOST_LINE_SUFFIX


def local_context(text: str, cursor: int) -> LocalContext:
    """Cut out the lines around the cursor; a blank line counts as empty."""
    before, after = text[:cursor].split("\n"), text[cursor:].split("\n")
    line_prefix, line_suffix = before[-1], after[0]
    indent = len(line_prefix) - len(line_prefix.lstrip())
    if not (line_prefix + line_suffix).strip():
        line_prefix = line_suffix = ""
        indent = 0
    lines_before = before[max(0, len(before) - 1 - _PREFIX_LINES) : -1]
    lines_after = after[1 : 1 + _SUFFIX_LINES]
    return LocalContext(
        prefix="\n".join(lines_before) + "\n",
        middle=line_prefix,
        suffix=line_suffix + "\n" + "\n".join(lines_after) + "\n",
        indent=indent,
        line_suffix=line_suffix,
    )


def limits(context: LocalContext, predict: int, *, ahead: bool = False) -> dict[str, Any]:
    """Return the limits of a request; a request ahead may take longer."""
    return {
        "n_predict": predict,
        "n_indent": context.indent,
        "t_max_prompt_ms": 500,
        "t_max_predict_ms": 1000 if ahead else 250,
        "cache_prompt": True,
        "id_slot": 0,
        "samplers": ["top_k"],
        "top_k": 1,
        "stream": True,
    }


def infill_prompt(context: LocalContext) -> dict[str, Any]:
    """Return the prompt's part of an ``/infill`` request."""
    return {
        "input_prefix": context.prefix,
        "input_suffix": context.suffix,
        "input_extra": [],
        "prompt": context.middle,
    }


class Hints:
    """A cache of suggestions, which also finds the rest of a suggestion whose beginning was typed."""

    def __init__(self) -> None:
        self._contents: LRUCache[tuple[str, str], str] = LRUCache(_CACHE_SIZE)

    def put(self, context: LocalContext, content: str) -> None:
        """Store a suggestion for a context, also without the first lines, which may be scrolled away."""
        prefix = context.prefix
        for _ in range(1 + _SCROLLED):
            self._contents[prefix + context.middle, context.suffix] = content
            prefix = prefix.partition("\n")[2]
            if not prefix:
                return

    def was_asked(self, context: LocalContext) -> bool:
        """Check if a request with this context was sent before; then none is sent."""
        return (context.prefix + context.middle, context.suffix) in self._contents

    def find(self, context: LocalContext) -> str:
        """Return a cached suggestion, or the rest of one whose beginning was typed; empty without one."""
        text = context.prefix + context.middle
        best = self._contents.get((text, context.suffix), "")
        for typed in range(1, min(_LOOK_BACK, len(text)) + 1):
            content = self._contents.get((text[:-typed], context.suffix), "")
            if content.startswith(text[-typed:]) and len(content) - typed > len(best):
                best = content[typed:]
        return best


def shown_text(content: str, text: str, cursor: int) -> str:
    """Return the part of a suggestion that llama.vim shows: nothing where it only repeats what follows.

    Args:
        content: the server's text, without blanks at its end.
        text: the document.
        cursor: an offset into it.
    """
    lines = content.split("\n")
    before, after = text[:cursor].split("\n"), text[cursor:].split("\n")
    below = after[1:]
    follows = next((index for index, line in enumerate(below) if line.strip()), 0)
    following = below[follows:]
    repeats = (
        lines == [""]
        or (len(lines) > 1 and not lines[0] and lines[1:] == below[: len(lines) - 1])
        or lines == [after[0]]
        or (bool(following) and before[-1] + lines[0] == following[0] and _goes_on(lines, following[1:]))
    )
    return "" if repeats else content


def _goes_on(lines: list[str], following: list[str]) -> bool:
    """Check if a suggestion whose first line repeats a line goes on like the lines behind that one."""
    if len(lines) == 1:
        return True
    if len(lines) == 2:
        return bool(following) and following[0].startswith(lines[-1])
    return lines[1:-1] == following[: len(lines) - 2]
