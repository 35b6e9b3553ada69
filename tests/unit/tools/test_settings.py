"""The files that are generated from the table of settings agree with it."""

from __future__ import annotations

import pytest

from fim_lsp.settings import table
from tools.settings import LUA, NEOVIM, PAGE, load, markdown, updated


def test_the_page_lists_every_setting() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == updated(text), "mend it with: make settings"
    assert all(text.count(f"| `{row.path}` |") == 1 for row in table())


def test_common_settings_come_first() -> None:
    text = PAGE.read_text(encoding="utf-8")
    places = {row.path: text.index(f"| `{row.path}` |") for row in table()}
    common = [places[row.path] for row in table() if row.common]
    assert max(common) < min(places[row.path] for row in table() if not row.common)
    assert 10 <= len(common) <= 17


def test_the_types_of_neovim_are_up_to_date() -> None:
    assert LUA.read_text(encoding="utf-8") == load(NEOVIM).types(), "mend it with: make settings"


def test_the_keys_of_objects_are_listed_below_their_list() -> None:
    adapters = next(row for row in table() if row.items)
    lines = markdown([adapters]).splitlines()
    assert lines[2].startswith("| `adapters` | none |")
    assert lines[3].startswith("| `adapters[].path` | none |")


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="no table between"):
        updated("# Settings\n")
