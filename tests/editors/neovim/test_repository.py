"""The repository memory: a helper from a file that was never opened is completed elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.editors.neovim.editor import SETTINGS, Editor, plugin_options, start
from tests.editors.repository import BEFORE, EXPECTED, OPEN, TYPED, write_repository


def shown(variant: tuple[str, str], folder: Path, settings: dict[str, Any]) -> str:
    """Start Neovim in the repository, type the beginning of the call, and return what is shown."""
    nvim, display = variant
    write_repository(folder)
    options = plugin_options(folder, display, settings={**SETTINGS, **settings})
    with start(nvim, folder, options, display=display) as editor:
        editor.open(BEFORE + "█\n", name=OPEN)
        editor.nvim.exec_lua("vim.wait(3000)")
        editor.type(TYPED)
        return settled(editor)


def settled(editor: Editor) -> str:
    """Return the ghost text once it has not changed for two seconds."""
    last, same = editor.ghost, 0
    while same < 20:
        editor.nvim.exec_lua("vim.wait(100)")
        same = same + 1 if editor.ghost == last and editor.state == "ready" else 0
        last = editor.ghost
    return last


def test_a_helper_of_a_file_that_was_never_opened(variant: tuple[str, str], folder: Path) -> None:
    with_memory = shown(variant, folder / "with", {"model": {"name": "default", "threads": 1}})
    assert with_memory.startswith(EXPECTED)
    off = {"model": {"name": "default", "threads": 1}, "memory": {"enabled": False}}
    assert not shown(variant, folder / "without", off).startswith(EXPECTED)
