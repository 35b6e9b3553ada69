"""Tab, completion menus and snippets still do what they do without the plugin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.editors.neovim.editor import SETTINGS, Editor, plugin_options, start
from tests.editors.neovim.test_suggesting import SUM


def test_tab_inserts_a_tab_if_no_suggestion_is_shown(editor: Editor) -> None:
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
def editor_with_mapping(
    variant: tuple[str, str], request: pytest.FixtureRequest, folder: Path
) -> Iterator[Editor]:
    """Provide an editor with a user's mapping for Tab."""
    nvim, display = variant
    options = plugin_options(folder, display, settings={**SETTINGS, "completion": {"automatic": False}})
    with start(nvim, folder, options, init=MAPPINGS[request.param], display=display) as editor:
        yield editor


def test_a_former_mapping_of_tab_still_works(editor_with_mapping: Editor) -> None:
    editor = editor_with_mapping
    editor.open(SUM)
    editor.type("(<Tab>")
    editor.wait("the mapping", lambda: editor.text.endswith("subtract(tabbed"), 20)
    editor.type("<BS>" * len("tabbed"))
    editor.wait_text(SUM.replace("█", "("))
    editor.type("<M-Bslash>")
    expected = editor.with_inserted(editor.wait_ghost())
    editor.type("<Tab>")
    editor.wait_text(expected)


def test_tab_jumps_in_a_snippet_if_no_suggestion_is_shown(editor: Editor) -> None:
    editor.configure({"completion": {"automatic": False}})
    editor.open("█")
    editor.nvim.exec_lua("vim.snippet.expand('first($1) second($2)')")
    if not editor.lua("vim.fn.has('nvim-0.11')"):
        pytest.skip("Neovim 0.10 maps no key to snippets")
    editor.type("a<Tab>b")
    editor.wait_text("first(a) second(b)")


def test_an_open_menu_hides_ghost_text_and_gets_tab(editor: Editor) -> None:
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
def editor_with_kept_ghost_text(variant: tuple[str, str], folder: Path) -> Iterator[Editor]:
    """Provide an editor that shows ghost text while a menu is open."""
    nvim, display = variant
    options = plugin_options(folder, display, popup="keep")
    init = "vim.o.completeopt = 'menuone,noinsert,noselect'"
    with start(nvim, folder, options, init=init, display=display) as editor:
        yield editor


def test_kept_ghost_text_is_accepted_until_an_entry_is_selected(editor_with_kept_ghost_text: Editor) -> None:
    editor = editor_with_kept_ghost_text
    editor.open("subtle = 1\n" + SUM)
    editor.type("(")
    editor.wait_ghost()
    editor.type("<C-x><C-n>")
    editor.wait("a menu", lambda: editor.nvim.funcs.pumvisible() == 1, 20)
    editor.wait_ghost()
    assert editor.nvim.funcs.pumvisible() == 1
    editor.type("<C-n>")
    editor.wait("a chosen entry", lambda: editor.lua("vim.fn.complete_info().selected >= 0"), 20)
    assert not editor.acceptable
