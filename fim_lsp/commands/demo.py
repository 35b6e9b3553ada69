"""``fim-lsp demo``: a headless editor types into a sample project, with the real server.

Each ``█…█`` pair in a sample marks the text that is typed, one character a request, as an editor would. Then
the suggestion is accepted, and the next one requested. What is printed are the server's answers and its
engine's counts. The server runs with default settings and the flags of the command line. The user's settings,
statistics and KV states are left alone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from attrs import frozen

from fim_lsp.code.languages import language_of
from fim_lsp.commands import language_server
from fim_lsp.paths import USER_PATHS, variables_for

if TYPE_CHECKING:
    from rich.console import Console

    from fim_lsp.lsp.client import HeadlessEditor, OpenFile, ReceivedSuggestion

_SAMPLES = Path(__file__).resolve().parent / "demo_project"
_MARK = "█"
_CONTEXT_LINES = 3
_KEYS = {" ": "space", "\n": "enter"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the demo."""
    language_server.add_setting_arguments(parser)


def run(parsed: argparse.Namespace) -> int:
    """Play all scenes. Return 1 if there was no suggestion at all."""
    from rich.console import Console

    language_server.flags(parsed)
    console = Console(highlight=False, soft_wrap=True)
    command = language_server.command_line(language_server.forwarded(parsed))
    with TemporaryDirectory(prefix="fim-lsp-demo-") as folder:
        env = {**os.environ, **variables_for(Path(folder), USER_PATHS)}
        return asyncio.run(_play(console, command, env))


@frozen
class Scene:
    """A sample file, with the text to type and the text around it."""

    path: Path
    before: str
    typed: str
    after: str


def scenes(folder: Path) -> Iterator[Scene]:
    """Yield the samples in a folder, each cut at its two marks."""
    for path in sorted(folder.glob("*.txt")):
        before, typed, after = path.read_text(encoding="utf-8").split(_MARK)
        yield Scene(path.with_suffix(""), before, typed, after)


async def _play(console: Console, command: list[str], env: Mapping[str, str]) -> int:
    from fim_lsp.lsp.client import start_editor

    folder = _SAMPLES
    seen: list[ReceivedSuggestion] = []
    async with start_editor(command, root=folder, env=env) as editor:
        with console.status("Starting fim-lsp and loading its model…"):
            name = await editor.ready()
        console.print(f"[bold]fim-lsp[/] completes with [bold]{name}[/], in process, on this machine.")
        for notice in editor.messages:
            console.print(f"[yellow]{notice}[/]")
        console.print()
        for scene in scenes(folder):
            seen += await _play_scene(console, editor, scene)
    _summarise(console, seen)
    return 0 if any(shown.text for shown in seen) else 1


async def _play_scene(console: Console, editor: HeadlessEditor, scene: Scene) -> list[ReceivedSuggestion]:
    console.rule(f"[bold]{scene.path.name}[/]", align="left")
    language = language_of(scene.path.name)
    language_id = language.id if language else "plaintext"
    file = editor.open(scene.path, language_id, scene.before + scene.after, len(scene.before))
    shown = await editor.suggest(file)
    seen = [shown]
    console.print(_heading())
    console.print(_row("open", file, shown, console.width))
    for character in scene.typed:
        editor.insert(file, character)
        shown = await editor.suggest(file)
        seen.append(shown)
        console.print(_row(_KEYS.get(character, character), file, shown, console.width))
    _print_code(console, file, shown.text)
    if shown.text:
        editor.insert(file, shown.text)
        seen.append(await editor.suggest(file))
        console.print(_row("accept", file, seen[-1], console.width))
    console.print()
    return seen


def _heading() -> str:
    return "[dim]key      first token  shown after  evaluated  reused  by         code[/]"


def _row(key: str, file: OpenFile, shown: ReceivedSuggestion, width: int) -> str:
    """Format one keystroke: its cost, and the line with its ghost text, cut to the terminal's width."""
    from rich.markup import escape

    timings = shown.explanation["timings"]
    first = timings["queuedMs"] + timings["prefillMs"]
    costs = (
        f"{key:<7} {first:>9.1f} ms {shown.waited_ms:>9.1f} ms  "
        f"{timings['evaluatedTokens']:>9}  {timings['reusedTokens']:>6}  {shown.explanation['source']:<9}  "
    )
    line = file.text[: file.cursor].rsplit("\n", 1)[-1].lstrip()
    first_line, newline, _ = shown.text.partition("\n")
    ghost = (first_line + (" …" if newline else ""))[: max(0, width - len(costs) - len(line))]
    return f"{escape(costs)}{escape(line)}[bright_black italic]{escape(ghost)}[/]"


def _print_code(console: Console, file: OpenFile, ghost: str) -> None:
    """Print the code around the cursor with the ghost text."""
    from rich.markup import escape

    before = file.text[: file.cursor].split("\n")
    after = file.text[file.cursor :].split("\n")
    above = "\n".join(before[-_CONTEXT_LINES - 1 :])
    below = "\n".join(after[: _CONTEXT_LINES + 1])
    block = f"{escape(above)}[bright_black italic]{escape(ghost)}[/]{escape(below)}"
    console.print("\n" + "\n".join("    " + line for line in block.split("\n")) + "\n")


def _summarise(console: Console, seen: list[ReceivedSuggestion]) -> None:
    timings = [shown.explanation["timings"] for shown in seen]
    generated = [shown for shown in seen if shown.explanation["source"] != "cache"]
    firsts = [
        shown.explanation["timings"]["queuedMs"] + shown.explanation["timings"]["prefillMs"]
        for shown in generated
    ]
    evaluated = [shown.explanation["timings"]["evaluatedTokens"] for shown in generated]
    console.print(
        f"{len(seen)} keystrokes, {sum(bool(shown.text) for shown in seen)} with a suggestion, "
        f"{len(seen) - len(generated)} answered without the model.\n"
        f"Where the model ran: median {statistics.median(firsts):.0f} ms to the first token, "
        f"median {statistics.median(evaluated):.0f} tokens evaluated; "
        f"{sum(timing['reusedTokens'] for timing in timings)} prompt tokens reused in all."
    )
