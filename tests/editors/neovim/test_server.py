"""The server's process: crashes, errors, start-up, and use without the plugin."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from tests.editors.neovim.conftest import version
from tests.editors.neovim.editor import PLUGIN, SETTINGS, Editor, plugin_options, server_command, start
from tests.editors.neovim.test_suggesting import SUM


def test_a_server_killed_while_typing_is_restarted(editor: Editor) -> None:
    editor.open(SUM)
    editor.type("(")
    editor.wait_ghost()
    killed = editor.server_pid()
    os.kill(killed, signal.SIGKILL)
    editor.type("a")
    editor.wait("another server", lambda: editor.server_pid() != killed)
    editor.type(", ")
    editor.wait_ready()
    shown = editor.wait_ghost()  # without another keystroke
    expected = editor.with_inserted(shown)
    editor.type("<Tab>")
    editor.wait_text(expected)
    assert editor.text.count("subtract(a, ") == 1


def test_a_server_that_keeps_ending_is_given_up_with_an_error(variant: tuple[str, str], folder: Path) -> None:
    options = {"cmd": ["sh", "-c", "exit 3", "fim-lsp"], "restarts": 1}
    with start(variant[0], folder, options) as editor:
        editor.nvim.command(f"edit {folder}/a.py")
        editor.wait("given up", lambda: editor.status() == "fim: error: The server keeps ending.", 30)
        assert any("exit code 3" in line for line in editor.lua("require('fim_lsp.log').lines()"))


def test_an_unknown_model_is_an_error_until_another_is_chosen(variant: tuple[str, str], folder: Path) -> None:
    options = {
        **plugin_options(folder, variant[1], settings={**SETTINGS, "model": {"name": "no-such-model"}}),
    }
    statusline = "vim.o.laststatus = 2; vim.o.statusline = \"%{v:lua.require'fim_lsp.statusline'.text()}\""
    with start(variant[0], folder, options, init=statusline) as editor:
        editor.nvim.command(f"edit {folder}/a.py")
        editor.wait("an error", lambda: editor.status().startswith("fim: error: "))
        assert "no-such-model" in editor.status()
        assert editor.lua("require('fim_lsp.status').get().code") == "model_unknown"
        drawn = editor.nvim.api.eval_statusline(editor.nvim.options["statusline"], {})["str"]
        assert drawn.startswith("fim: error: ")
        server = editor.server_pid()
        editor.type(":FimLsp model smollm2-135m<CR>")
        editor.wait("ready", lambda: editor.status() == "fim: ready")
        assert editor.server_pid() == server


def test_a_missing_program_is_named_with_a_remedy(variant: tuple[str, str], folder: Path) -> None:
    with start(variant[0], folder, {"cmd": ["no-such-program", "--stdio"]}) as editor:
        editor.wait("an error", lambda: editor.status().startswith("fim: error: "), 20)
        assert "no-such-program is not installed" in editor.status()
        message = "no program no-such-program"
        editor.wait("a message", lambda: message in editor.nvim.command_output("messages"), 20)
        editor.nvim.command("checkhealth fim_lsp")
        assert "There is no program no-such-program" in editor.text


def test_starting_up_stops_for_no_message_and_the_log_has_them_all(
    variant: tuple[str, str], folder: Path
) -> None:
    options = plugin_options(folder, variant[1])
    (folder / "nvim").mkdir(parents=True)
    (folder / "a.py").write_text(SUM.replace("█", ""), encoding="utf-8")
    with start(variant[0], folder, options) as editor:
        editor.nvim.ui_try_resize(80, 24)
        editor.nvim.command(f"edit {folder}/a.py")
        editor.wait("ready", lambda: editor.waits_for_enter or editor.state == "ready")
        assert not editor.waits_for_enter
        assert any("not tuned" in line for line in editor.lua("require('fim_lsp.log').lines()"))
        editor.type("GA(")
        editor.wait_text(SUM.replace("█", "("))


def test_invalid_options_are_named(variant: tuple[str, str], folder: Path) -> None:
    with start(variant[0], folder, None) as editor:
        error = editor.nvim.exec_lua(
            "return select(2, pcall(require('fim_lsp').setup, "
            "{ colour = 'red', display = 'best', keys = { jump = '<C-j>' } }))"
        )
    assert "there is no option colour" in error
    assert "display must be 'auto', 'native' or 'ghost'" in error
    assert "there is no key keys.jump" in error


def test_the_server_works_without_the_plugin(variant: tuple[str, str], folder: Path) -> None:
    """The recipe in the help, word for word but for the command."""
    neovim = version(variant[0])
    words = [*server_command(folder), "--model", SETTINGS["model"]["name"]]
    command = "{ " + ", ".join(map(repr, words)) + " }"
    plain = (PLUGIN / "lsp" / "fim_lsp.lua").read_text(encoding="utf-8")
    (folder / "nvim" / "lsp").mkdir(parents=True)
    (folder / "nvim" / "lsp" / "fim_lsp.lua").write_text(plain.replace(COMMAND, command), encoding="utf-8")
    init = f"vim.opt.runtimepath:remove({str(PLUGIN)!r})\n" + _recipe(neovim).replace(COMMAND, command)
    (folder / "a.py").write_text(SUM.replace("█", ""), encoding="utf-8")
    with start(variant[0], folder, None, init=init) as editor:
        # A terminal of the usual size, where a long message would wait for <Enter>.
        editor.nvim.ui_try_resize(80, 24)
        editor.nvim.command(f"edit {folder}/a.py")
        editor.wait("a client", lambda: editor.lua("#vim.lsp.get_clients({ bufnr = 0 }) == 1"))
        editor.wait("a model", lambda: editor.waits_for_enter or editor.nvim.exec_lua(LOADED))
        assert not editor.waits_for_enter
        editor.type("GA(")
        if neovim >= (0, 12):
            editor.wait("ghost text", editor.ghosts)
            expected = editor.with_inserted(editor.ghosts()[0]["text"])
            editor.type("<Tab>")
            editor.wait_text(expected)
        else:  # Neovim inserts the entry of a menu with one entry at once
            before = editor.text
            editor.type("<C-x><C-o>")
            editor.wait("an entry", lambda: len(editor.text) > len(before), 60)
            assert editor.text.startswith(before)


COMMAND = "{ 'fim-lsp', '--stdio' }"
# A load that a newer one replaced answers before the model is loaded.
LOADED = """
local answers = vim.lsp.buf_request_sync(
  0, 'workspace/executeCommand', { command = 'fimLsp.reload' }, 120000)
local _, answer = next(answers or {})
return answer ~= nil and answer.result ~= nil and answer.result.state == 'ready'
"""


def _recipe(neovim: tuple[int, int]) -> str:
    text = (PLUGIN / "doc" / "fim-lsp.txt").read_text(encoding="utf-8")
    found = re.search(rf"\*fim-lsp-recipe-{neovim[0]}\.{neovim[1]}\*\n>lua\n(.*?)\n<", text, re.S)
    assert found
    return found[1]
