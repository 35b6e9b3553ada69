"""Write everything that is generated from the table of settings: ``make settings``.

These are the tables of docs/settings.md, the settings in the VS Code extension's manifest, and the types of
the Neovim plugin. Tests compare each of them with :func:`fim_lsp.settings.table`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import attrs

from fim_lsp.settings import SettingRow, table

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "settings.md"
VSCODE = ROOT / "editors" / "vscode" / "scripts" / "settings.py"
NEOVIM = ROOT / "editors" / "neovim" / "scripts" / "settings_types.py"
LUA = ROOT / "editors" / "neovim" / "lua" / "fim_lsp" / "settings.lua"
_BLOCK = "<!-- {name}: begin (written by make settings) -->\n"
_END = "<!-- {name}: end -->"


def markdown(rows: Iterable[SettingRow]) -> str:
    """Return a table of settings, with the keys of objects below the list that holds them."""
    lines = [line for row in rows for line in _lines(row)]
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *lines]) + "\n"


def updated(page: str) -> str:
    """Return the page with its two tables written anew.

    Raises:
        ValueError: a table's marks are missing.
    """
    for name, common in (("common", True), ("expert", False)):
        begin, end = _BLOCK.format(name=name), _END.format(name=name)
        before, found, rest = page.partition(begin)
        _, ended, after = rest.partition(end)
        if not found or not ended:
            raise ValueError(f"{PAGE.name} has no table between {begin.strip()} and {end}")
        text = markdown(row for row in table() if row.common is common)
        page = before + begin + text + end + after
    return page


def load(script: Path) -> ModuleType:
    """Import an editor plugin's script, which is in no package."""
    spec = importlib.util.spec_from_file_location(script.stem, script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Write all three."""
    vscode, neovim = load(VSCODE), load(NEOVIM)
    manifest = vscode.MANIFEST.read_text(encoding="utf-8")
    vscode.MANIFEST.write_text(vscode.updated(manifest), encoding="utf-8")
    LUA.write_text(neovim.types(), encoding="utf-8")
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def _lines(row: SettingRow, inside: str = "") -> list[str]:
    items = [line for item in row.items for line in _lines(item, f"{inside}{row.path}[].")]
    return [_line(row, inside), *items]


def _line(row: SettingRow, inside: str) -> str:
    choices = [str(choice) for choice in get_args(row.type) if isinstance(choice, str)]
    about = row.about + (f" One of {', '.join(choices)}." if choices else "")
    return f"| `{inside}{row.path}` | {_default(row.default)} | {about} |"


def _default(value: Any) -> str:
    if value is attrs.NOTHING:
        return "required"
    if value == "":
        return "none"
    if isinstance(value, tuple):
        return " ".join(f"`{item}`" for item in value) or "none"
    if value is None:
        return "automatic"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"`{value}`"


if __name__ == "__main__":
    main()
