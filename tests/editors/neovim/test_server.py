"""The server as the editor sees it: crashes, errors, settings, and clients without the plugin."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from tests.editors.neovim.conftest import SETTINGS, version
from tests.editors.neovim.editor import PLUGIN, Editor, server_command, start
from tests.editors.neovim.test_suggesting import SUM


def test_killed_in_mid_typing_the_server_comes_back_by_itself(editor: Editor) -> None:
    editor.open(SUM)
    editor.type("(")
    editor.wait_ghost()
    killed = editor.server_pid()
    os.kill(killed, signal.SIGKILL)
    editor.type("a")
    editor.wait("another server", lambda: editor.server_pid() != killed)
    editor.type(", ")
    editor.wait_ready()
    shown = editor.wait_ghost()  # without a further key
    wanted = editor.with_inserted(shown)
    editor.type("<Tab>")
    editor.wait_text(wanted)
    assert editor.text.count("subtract(a, ") == 1


def test_a_server_that_keeps_ending_is_given_up_with_an_error(way: tuple[str, str], fresh: Path) -> None:
    options = {"cmd": ["sh", "-c", "exit 3", "fim-lsp"], "restarts": 1}
    with start(way[0], fresh, options) as editor:
        editor.nvim.command(f"edit {fresh}/a.py")
        editor.wait("given up", lambda: editor.status() == "fim: error: The server keeps ending.", 30)
        assert any("exit code 3" in line for line in editor.lua("require('fim_lsp.log').lines()"))


def test_a_bad_model_is_an_error_in_the_statusline_and_a_better_one_mends_it(
    way: tuple[str, str], fresh: Path
) -> None:
    options = {
        "cmd": server_command(fresh / "wire.jsonl"),
        "settings": {**SETTINGS, "model": {"name": "no-such-model"}},
    }
    statusline = "vim.o.laststatus = 2; vim.o.statusline = \"%{v:lua.require'fim_lsp.statusline'.text()}\""
    with start(way[0], fresh, options, init=statusline) as editor:
        editor.nvim.command(f"edit {fresh}/a.py")
        editor.wait("an error", lambda: editor.status().startswith("fim: error: "))
        assert "no-such-model" in editor.status()
        drawn = editor.nvim.api.eval_statusline(editor.nvim.options["statusline"], {})["str"]
        assert drawn.startswith("fim: error: ")
        server = editor.server_pid()
        editor.type(":FimLsp model smollm2-135m<CR>")
        editor.wait("ready", lambda: editor.status() == "fim: ready")
        assert editor.server_pid() == server


def test_a_missing_program_is_named_with_a_remedy(way: tuple[str, str], fresh: Path) -> None:
    with start(way[0], fresh, {"cmd": ["no-such-program", "--stdio"]}) as editor:
        editor.wait("an error", lambda: editor.status().startswith("fim: error: "), 20)
        assert "no-such-program is not installed" in editor.status()
        said = "no program no-such-program"
        editor.wait("a message", lambda: said in editor.nvim.command_output("messages"), 20)
        editor.nvim.command("checkhealth fim_lsp")
        assert "There is no program no-such-program" in editor.text


def test_starting_up_asks_for_no_enter_and_the_log_has_what_was_said(
    way: tuple[str, str], fresh: Path
) -> None:
    options = {"cmd": server_command(fresh / "wire.jsonl"), "settings": SETTINGS}
    (fresh / "nvim").mkdir(parents=True)
    (fresh / "a.py").write_text(SUM.replace("█", ""), encoding="utf-8")
    with start(way[0], fresh, options) as editor:
        editor.nvim.ui_try_resize(80, 24)
        editor.nvim.command(f"edit {fresh}/a.py")
        editor.wait("ready", lambda: editor.waits_for_enter or editor.state == "ready")
        assert not editor.waits_for_enter
        assert any("not tuned" in line for line in editor.lua("require('fim_lsp.log').lines()"))
        editor.type("GA(")
        editor.wait_text(SUM.replace("█", "("))


def test_bad_options_are_refused_by_name(way: tuple[str, str], fresh: Path) -> None:
    with start(way[0], fresh, None) as editor:
        said = editor.nvim.exec_lua(
            "return select(2, pcall(require('fim_lsp').setup, "
            "{ colour = 'red', display = 'best', keys = { jump = '<C-j>' } }))"
        )
    assert "there is no option colour" in said
    assert "display must be 'auto', 'native' or 'ghost'" in said
    assert "there is no key keys.jump" in said


def test_without_the_plugin_the_plain_file_is_enough(way: tuple[str, str], fresh: Path) -> None:
    """The recipe of the help, word for word, with the recorder in the command's place."""
    neovim = version(way[0])
    words = [*server_command(fresh / "wire.jsonl"), "--model", SETTINGS["model"]["name"]]
    command = "{ " + ", ".join(map(repr, words)) + " }"
    plain = (PLUGIN / "lsp" / "fim_lsp.lua").read_text(encoding="utf-8")
    (fresh / "nvim" / "lsp").mkdir(parents=True)
    (fresh / "nvim" / "lsp" / "fim_lsp.lua").write_text(plain.replace(COMMAND, command), encoding="utf-8")
    init = f"vim.opt.runtimepath:remove({str(PLUGIN)!r})\n" + _recipe(neovim).replace(COMMAND, command)
    (fresh / "a.py").write_text(SUM.replace("█", ""), encoding="utf-8")
    with start(way[0], fresh, None, init=init) as editor:
        editor.nvim.ui_try_resize(
            80, 24
        )  # a terminal of the usual size, where a long message asks for <Enter>
        editor.nvim.command(f"edit {fresh}/a.py")
        editor.wait("a client", lambda: editor.lua("#vim.lsp.get_clients({ bufnr = 0 }) == 1"))
        editor.wait("a model", lambda: editor.waits_for_enter or editor.nvim.exec_lua(LOADED))
        assert not editor.waits_for_enter
        editor.type("GA(")
        if neovim >= (0, 12):
            editor.wait("ghost text", editor.ghosts)
            wanted = editor.with_inserted(editor.ghosts()[0]["text"])
            editor.type("<Tab>")
            editor.wait_text(wanted)
        else:  # a menu of one entry, which Neovim inserts at once
            before = editor.text
            editor.type("<C-x><C-o>")
            editor.wait("an entry", lambda: len(editor.text) > len(before), 60)
            assert editor.text.startswith(before)


COMMAND = "{ 'fim-lsp', '--stdio' }"
# A load that another one overtook answers before the model is there.
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
