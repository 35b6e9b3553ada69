"""Choose real files to type in, from the standard library of the running Python."""

from __future__ import annotations

import sysconfig
from collections.abc import Callable
from pathlib import Path

from attrs import field, frozen

from fim_lsp.errors import FimLspError

_MODULES = ("tarfile", "argparse", "inspect", "typing", "subprocess", "shutil", "difflib", "datetime")
"""Long modules of ordinary code."""

CountTokens = Callable[[str], int]


class SourceError(FimLspError):
    """The standard library has no file that is long enough."""


@frozen
class TypedFile:
    """A file before the first keystroke."""

    name: str
    text: str = field(repr=False)


def source_pair(tokens: int, seed: int, count: CountTokens) -> tuple[TypedFile, TypedFile]:
    """Return a file of about ``tokens`` tokens to type in, and another one of that length to switch to.

    Raises:
        SourceError: no two modules are that long.
    """
    folder = Path(sysconfig.get_path("stdlib"))
    found: list[TypedFile] = []
    for number in range(len(_MODULES)):
        module = _MODULES[(seed + number) % len(_MODULES)]
        path = folder / f"{module}.py"
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if cut := _beginning(text, tokens, count):
            found.append(TypedFile(path.name, cut))
        if len(found) == 2:
            return found[0], found[1]
    raise SourceError(
        f"Python's standard library in {folder} has no two files of {tokens} tokens.",
        "Install its sources, or ask for shorter files with --lengths.",
    )


def _beginning(text: str, tokens: int, count: CountTokens) -> str:
    """Return the first lines, of about ``tokens`` tokens together; empty if the text is shorter."""
    lines = text.splitlines(keepends=True)
    total = count(text)
    if total < tokens:
        return ""
    # Tokens are spread evenly enough over the characters; counting each line would take as long as a trace.
    chars, kept = round(len(text) * tokens / total), 0
    for number, line in enumerate(lines):
        kept += len(line)
        if kept >= chars:
            return "".join(lines[: number + 1])
    return text
