"""The commands of docs/getting-started.md, read out of the page: what is written is what is tried."""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import frozen

_HEADING = re.compile(r"#+ (?P<title>.+)")
_FENCE = re.compile(r"```(?P<language>\w*)")
_HERE = re.compile(r"<<'(?P<end>\w+)'")


class PageError(Exception):
    """The page lacks what is to be tried."""


@frozen
class Block:
    """A fenced block, with the heading that it stands under."""

    heading: str
    language: str
    text: str


def blocks(markdown: str) -> Iterator[Block]:
    """All fenced blocks of a page, in order."""
    heading, language, lines = "", None, list[str]()
    for line in markdown.splitlines():
        if language is not None:
            if line == "```":
                yield Block(heading, language, "\n".join(lines) + "\n")
                language, lines = None, []
            else:
                lines.append(line)
        elif found := _FENCE.match(line):
            language = found["language"]
        elif found := _HEADING.match(line):
            heading = found["title"]


def script(markdown: str, heading: str) -> str:
    """The shell commands under the heading that begins so.

    Raises:
        PageError: if there are none.
    """
    found = [
        block.text
        for block in blocks(markdown)
        if block.language == "sh" and block.heading.startswith(heading)
    ]
    if not found:
        raise PageError(f"No commands under {heading!r}.")
    return "".join(found)


def commands(shell: str) -> int:
    """How many commands a newcomer enters: lines, a here document being one with its command."""
    count, end = 0, None
    for line in shell.splitlines():
        if end is not None:
            end = None if line == end else end
        elif line and not line.startswith("#"):
            count += 1
            here = _HERE.search(line)
            end = here["end"] if here else None
    return count


def keys(markdown: str) -> str:
    """What is to be typed: the Python sample up to its mark; the editor indents by itself.

    Raises:
        PageError: if there is no sample.
    """
    for block in blocks(markdown):
        if block.language == "python":
            typed = block.text.partition("█")[0]
            return "\n".join(line.lstrip() for line in typed.split("\n"))
    raise PageError("No sample to type.")
