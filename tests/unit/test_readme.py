"""The README's table of settings is the table of settings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from fim_lsp.settings import SettingRow, table

README = Path(__file__).parents[2] / "README.md"
_BETWEEN = re.compile(r"(<!-- settings: begin[^\n]*-->\n).*(<!-- settings: end -->)", re.DOTALL)


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(f"`{item}`" for item in value) or "none"
    return (
        {None: "automatic", True: "on", False: "off"}.get(value, f"`{value}`")
        if not _number(value)
        else f"`{value}`"
    )


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _line(row: SettingRow) -> str:
    choices = [str(choice) for choice in get_args(row.type) if isinstance(choice, str)]
    about = row.about + (f" One of {', '.join(choices)}." if choices else "")
    return f"| `{row.path}` | {_written(row.default)} | {about} |"


def settings_table() -> str:
    rows = [_line(row) for row in table()]
    return "\n".join(["| setting | default | |", "|---|---|---|", *rows]) + "\n"


def test_the_readme_lists_every_setting(pytestconfig: pytest.Config):
    text = README.read_text(encoding="utf-8")
    wanted = _BETWEEN.sub(lambda found: found[1] + settings_table() + found[2], text)
    if pytestconfig.getoption("verbose") >= 3:  # pytest -vvv tests/unit/test_readme.py mends the page
        README.write_text(wanted, encoding="utf-8")
    assert text == wanted, "run pytest -vvv on this file to mend the README"
