"""The README's table of settings is the table of settings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import attrs

from fim_lsp.settings import SettingRow, table

README = Path(__file__).parents[2] / "README.md"
_BETWEEN = re.compile(r"(<!-- settings: begin[^\n]*-->\n).*(<!-- settings: end -->)", re.DOTALL)


def _written(value: Any) -> str:
    if value is attrs.NOTHING:
        return "required"
    if isinstance(value, tuple):
        return " ".join(f"`{item}`" for item in value) or "none"
    if value is None:
        return "automatic"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"`{value}`"


def _lines(row: SettingRow, inside: str = "") -> list[str]:
    """The line of a setting, and those of the objects in its list."""
    items = [line for item in row.items for line in _lines(item, f"{inside}{row.path}[].")]
    return [_line(row, inside), *items]


def _line(row: SettingRow, inside: str) -> str:
    choices = [str(choice) for choice in get_args(row.type) if isinstance(choice, str)]
    about = row.about + (f" One of {', '.join(choices)}." if choices else "")
    return f"| `{inside}{row.path}` | {_written(row.default)} | {about} |"


def settings_table() -> str:
    rows = [line for row in table() for line in _lines(row)]
    return "\n".join(["| setting | default | |", "|---|---|---|", *rows]) + "\n"


def mended(text: str) -> str:
    return _BETWEEN.sub(lambda found: found[1] + settings_table() + found[2], text)


def test_the_readme_lists_every_setting():
    text = README.read_text(encoding="utf-8")
    assert text == mended(text), "mend it with: python tests/unit/test_readme.py"


if __name__ == "__main__":
    README.write_text(mended(README.read_text(encoding="utf-8")), encoding="utf-8")
