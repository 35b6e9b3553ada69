"""The plugin together with nvim-cmp and blink.cmp, which draw their own completion menus.

Neither is on a package index: ``FIM_LSP_NVIM_PLUGINS`` names a folder with checkouts of them, named
``nvim-cmp`` and ``blink.cmp``. Without it these tests are skipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.editors.neovim.editor import Editor, plugin_options, start
from tests.editors.neovim.test_suggesting import SUM

PLUGINS = os.environ.get("FIM_LSP_NVIM_PLUGINS", "")

CMP = """
local cmp = require('cmp')
cmp.register_source('words', {
  complete = function(_, _, answer) answer({ { label = 'subtle' }, { label = 'substance' } }) end,
})
cmp.setup({ sources = { { name = 'words' } }, mapping = cmp.mapping.preset.insert({}) })
"""
BLINK = """
require('blink.cmp').setup({
  fuzzy = { implementation = 'lua' },
  keymap = { preset = 'super-tab' },
  sources = { default = { 'buffer' } },
})
"""
MENUS = {
    "nvim-cmp": (CMP, "require('cmp').visible()"),
    "blink.cmp": (BLINK, "require('blink.cmp').is_menu_visible()"),
}
LAZILY = "vim.api.nvim_create_autocmd('InsertEnter', {{ once = true, callback = function()\n{}\nend }})"


@pytest.fixture(params=[(menu, when) for menu in MENUS for when in ("before", "lazily")], ids="-".join)
def editor_with_menu(
    variant: tuple[str, str], request: pytest.FixtureRequest, folder: Path
) -> Iterator[tuple[Editor, str]]:
    """Provide an editor with a menu plugin, and the expression that is true while its menu is open.

    The menu plugin is loaded before this plugin, or at the first InsertEnter.
    """
    menu, when = request.param
    checkout = Path(PLUGINS) / menu
    if not PLUGINS or not checkout.is_dir():
        pytest.skip(f"no checkout of {menu}")
    nvim, display = variant
    options = plugin_options(folder, display)
    setup, visible = MENUS[menu]
    setup = LAZILY.format(setup) if when == "lazily" else setup
    init = f"vim.opt.runtimepath:prepend({str(checkout)!r})\n{setup}"
    with start(nvim, folder, options, init=init, display=display) as editor:
        yield editor, visible


def test_an_open_menu_hides_ghost_text_and_gets_tab(editor_with_menu: tuple[Editor, str]) -> None:
    editor, visible = editor_with_menu
    editor.open("subtle = substance = 1\n" + SUM)
    editor.type("<Esc>A(")  # nvim-cmp maps its keys at the first InsertEnter after its set-up
    editor.wait_ghost()
    editor.type("sub")
    editor.wait("a menu", lambda: editor.lua(visible), 20)
    editor.wait("no ghost text", lambda: not editor.ghosts(), 20)
    assert not editor.acceptable
    editor.type("<C-e>")
    editor.wait("no menu", lambda: not editor.lua(visible), 20)
    expected = editor.with_inserted(editor.wait_ghost())
    editor.type("<Tab>")
    editor.wait_text(expected)
