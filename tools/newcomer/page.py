"""Read the commands of docs/getting-started.md out of the page, to try them as they are written."""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import frozen

_HEADING = re.compile(r"#+ (?P<title>.+)")
_FENCE = re.compile(r"```(?P<language>\w*)")
_HERE = re.compile(r"<<'(?P<end>\w+)'")


class PageError(Exception):
    """The page does not have what is to be tried."""


@frozen
class Block:
    """A fenced block, with the heading that it stands under."""

    heading: str
    language: str
    text: str


def blocks(markdown: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page, in order."""
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
    """Return the shell commands under the heading that begins with ``heading``.

    Raises:
        PageError: there are none.
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
    """Count the commands that a newcomer enters. A here document and its command are one."""
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
    """Return the keys to type: the Python sample up to its mark, without the indentation that editors insert.

    Raises:
        PageError: there is no sample.
    """
    for block in blocks(markdown):
        if block.language == "python":
            typed = block.text.partition("█")[0]
            return "\n".join(line.lstrip() for line in typed.split("\n"))
    raise PageError("No sample to type.")
