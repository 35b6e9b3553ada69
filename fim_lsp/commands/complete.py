"""``fim-lsp complete FILE:LINE:COL``: print the suggestion that an editor would show, and its explanation."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fim_lsp.code.languages import language_of
from fim_lsp.commands import language_server
from fim_lsp.errors import FimLspError

if TYPE_CHECKING:
    from rich.console import Console

_LINE_BREAK = re.compile(r"\r\n|\n|\r")
_LOCATION = re.compile(r"(?P<file>.+):(?P<line>\d+):(?P<column>\d+)$")


class LocationError(FimLspError):
    """The location to complete at does not exist."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``complete``."""
    parser.add_argument("location", metavar="FILE:LINE:COL", help="line and column count from 1")
    parser.add_argument("--json", action="store_true", help="print suggestion and explanation as JSON")
    parser.add_argument(
        "--automatic", action="store_true", help="as while typing, not as when invoked by a key"
    )
    parser.add_argument("--language", help="language id, if the file's name does not tell")
    language_server.add_setting_arguments(parser)


def run(parsed: argparse.Namespace) -> int:
    """Complete once with a real server process."""
    language_server.flags(parsed)
    path, text, cursor = read_location(parsed.location)
    return asyncio.run(_complete(parsed, path, text, cursor))


def read_location(location: str) -> tuple[Path, str, int]:
    """Read a file and return its path, its text and the cursor offset of ``FILE:LINE:COL``.

    Raises:
        LocationError: no such file, line or column.
    """
    found = _LOCATION.match(location)
    if not found:
        raise LocationError(
            f"{location} is no place in a file.", "Write it as FILE:LINE:COL, counted from 1."
        )
    path, line, column = Path(found["file"]).absolute(), int(found["line"]), int(found["column"])
    try:
        # newline="" keeps CRLF, as an editor would.
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise LocationError(f"Can't read {path}: {error}.") from error
    # Editors end lines at these breaks alone; str.splitlines also does at form feeds and others.
    ends = [0, *(found.end() for found in _LINE_BREAK.finditer(text)), len(text)]
    lines = [text[start:end] for start, end in itertools.pairwise(ends)]
    if not 1 <= line <= len(lines):
        raise LocationError(f"{path} has {len(lines)} lines, so there is no line {line}.")
    content = lines[line - 1].rstrip("\r\n")
    if not 1 <= column <= len(content) + 1:
        raise LocationError(f"Line {line} of {path} has {len(content)} characters: no column {column}.")
    return path, text, sum(map(len, lines[: line - 1])) + column - 1


async def _complete(parsed: argparse.Namespace, path: Path, text: str, cursor: int) -> int:
    from rich.console import Console

    from fim_lsp.lsp.client import start_editor

    language = language_of(path.name, text)
    language_id = parsed.language or (language.id if language else "plaintext")
    command = language_server.command_line(language_server.forwarded(parsed))
    # One request on a new server: the whole prompt would never follow a short one.
    options = {"prompt": {"coldMs": None}}
    async with start_editor(command, options=options, root=path.parent) as editor:
        await editor.ready()
        file = editor.open(path, language_id, text, cursor)
        shown = await editor.suggest(file, invoked=not parsed.automatic)
    if parsed.json:
        values = {"text": shown.text, "replacedChars": shown.replaced_chars, "waitedMs": shown.waited_ms}
        print(json.dumps({**values, **shown.explanation}, indent=2))
        return 0
    console = Console(highlight=False)
    for ghost, replaced in ((shown.text, shown.replaced_chars), *shown.alternatives):
        sys.stdout.write(as_shown(text, cursor, _dimmed(ghost, console), replaced) + "\n")
    timings = shown.explanation["timings"]
    because = shown.explanation["droppedBecause"] or shown.explanation["endedBy"]
    console.print(
        f"[dim]{shown.waited_ms:.0f} ms, {timings['evaluatedTokens']} tokens evaluated, "
        f"{timings['generatedTokens']} generated; {because}[/]"
    )
    return 0


def as_shown(text: str, cursor: int, ghost: str, replaced_chars: int) -> str:
    """Return the cursor's line with ghost text in it, without the characters that the ghost text replaces.

    Example: for ``f(|)`` and the ghost text ``a)`` that replaces one character: ``f(a)``.
    """
    before = _LINE_BREAK.split(text[:cursor])[-1]
    after = _LINE_BREAK.split(text[cursor + replaced_chars :], maxsplit=1)[0]
    return before + ghost + after


def _dimmed(ghost: str, console: Console) -> str:
    """Return ghost text in grey where the console shows colours.

    rich's own print drops form feeds, and wraps lines where the output is no terminal.
    """
    from rich.color import ColorSystem
    from rich.style import Style

    if not ghost or console.color_system is None or console.legacy_windows:
        return ghost
    return Style.parse("bright_black italic").render(ghost, color_system=ColorSystem.STANDARD)
