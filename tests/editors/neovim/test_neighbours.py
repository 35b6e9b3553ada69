"""Tab, completion menus and snippets go on working as they did."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.editors.neovim.conftest import SETTINGS
from tests.editors.neovim.editor import Editor, server_command, start
from tests.editors.neovim.test_suggesting import SUM


def test_tab_is_a_tab_where_nothing_is_shown(editor: Editor) -> None:
    editor.configure({"completion": {"automatic": False}})
    editor.open("x = 1█", before=["set expandtab tabstop=4"])
    editor.type("<Tab>y")
    editor.wait_text("x = 1" + " " * (4 - 5 % 4) + "y")


MAPPINGS = {
    "keys": "vim.keymap.set('i', '<Tab>', 'tabbed')",
    "expression": "vim.keymap.set('i', '<Tab>', function() return 'tab' .. 'bed' end, { expr = true })",
    "function": "vim.keymap.set('i', '<Tab>', function() vim.api.nvim_paste('tabbed', false, -1) end)",
}


@pytest.fixture(params=sorted(MAPPINGS))
def mapped(way: tuple[str, str], request: pytest.FixtureRequest, fresh: Path) -> Iterator[Editor]:
    """An editor whose user has a mapping for Tab."""
    nvim, display = way
    options = {
        "cmd": server_command(fresh / "wire.jsonl"),
        "settings": {**SETTINGS, "completion": {"automatic": False}},
        "display": "auto" if display == "native" else display,
    }
    with start(nvim, fresh, options, init=MAPPINGS[request.param], display=display) as editor:
        yield editor


def test_a_former_mapping_of_tab_still_works(mapped: Editor) -> None:
    mapped.open(SUM)
    mapped.type("(<Tab>")
    mapped.wait("the mapping", lambda: mapped.text.endswith("subtract(tabbed"), 20)
    mapped.type("<BS>" * len("tabbed"))
    mapped.wait_text(SUM.replace("█", "("))
    mapped.type("<M-Bslash>")
    wanted = mapped.with_inserted(mapped.wait_ghost())
    mapped.type("<Tab>")
    mapped.wait_text(wanted)


def test_tab_jumps_in_a_snippet_where_nothing_is_shown(editor: Editor) -> None:
    editor.configure({"completion": {"automatic": False}})
    editor.open("█")
    editor.nvim.exec_lua("vim.snippet.expand('first($1) second($2)')")
    if not editor.lua("vim.fn.has('nvim-0.11')"):
        pytest.skip("Neovim 0.10 maps no key to snippets")
    editor.type("a<Tab>b")
    editor.wait_text("first(a) second(b)")


def test_a_menu_has_tab_and_the_screen_to_itself(editor: Editor) -> None:
    editor.open("subtle = 1\n" + SUM)
    editor.type("(")
    editor.wait_ghost()
    editor.type("<C-x><C-n>")
    editor.wait("a menu", lambda: editor.nvim.funcs.pumvisible() == 1, 20)
    editor.wait("no ghost text", lambda: not editor.ghosts(), 20)
    before = editor.text
    assert not editor.acceptable
    editor.type("<C-n>")
    editor.wait("a chosen entry", lambda: editor.text != before, 20)
    editor.type("<C-e>")
    editor.wait("no menu", lambda: editor.nvim.funcs.pumvisible() == 0, 20)
    editor.wait_ghost()


@pytest.fixture
def keeping(way: tuple[str, str], fresh: Path) -> Iterator[Editor]:
    """An editor that shows ghost text beside menus."""
    nvim, display = way
    options = {
        "cmd": server_command(fresh / "wire.jsonl"),
        "settings": SETTINGS,
        "display": "auto" if display == "native" else display,
        "popup": "keep",
    }
    init = "vim.o.completeopt = 'menuone,noinsert,noselect'"
    with start(nvim, fresh, options, init=init, display=display) as editor:
        yield editor


def test_kept_beside_a_menu_tab_accepts_until_an_entry_is_chosen(keeping: Editor) -> None:
    keeping.open("subtle = 1\n" + SUM)
    keeping.type("(")
    keeping.wait_ghost()
    keeping.type("<C-x><C-n>")
    keeping.wait("a menu", lambda: keeping.nvim.funcs.pumvisible() == 1, 20)
    keeping.wait_ghost()
    assert keeping.nvim.funcs.pumvisible() == 1
    keeping.type("<C-n>")
    keeping.wait("a chosen entry", lambda: keeping.lua("vim.fn.complete_info().selected >= 0"), 20)
    assert not keeping.acceptable
