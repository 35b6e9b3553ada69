"""A real Neovim, driven by keys."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pynvim
from attrs import define, field

from tests.editors.record import Record

PLUGIN = Path(__file__).parents[3] / "editors" / "neovim"
PATIENCE_S = 60
INLINE = "textDocument/inlineCompletion"
_GHOST = """
local text = {}
for _, name in ipairs({ 'fim_lsp.ghost', 'nvim.lsp.inline_completion' }) do
  local namespace = vim.api.nvim_get_namespaces()[name]
  for _, mark in ipairs(namespace
    and vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true }) or {}) do
    local lines = { mark[4].virt_text or {} }
    vim.list_extend(lines, mark[4].virt_lines or {})
    text[#text + 1] = {
      row = mark[2],
      col = mark[3],
      pos = mark[4].virt_text_pos,
      text = table.concat(vim.tbl_map(function(chunks)
        return table.concat(vim.tbl_map(function(chunk) return chunk[1] end, chunks))
      end, lines), '\\n'),
    }
  end
end
return text
"""

_COUNT = re.compile(r" \(\d+/\d+\)$", re.MULTILINE)
"""The count behind the first line, if there are several suggestions: ` (1/3)`."""
_REMAINDER = """
local idle = require('fim_lsp.statusline').state() == 'ready'
local _, remainder = require('fim_lsp.display').at_cursor()
return idle and remainder and remainder.text or ''
"""
# One thread and short answers: the tests compare texts, not speed. Eager: they need suggestions everywhere.
SETTINGS: dict[str, Any] = {
    "completion": {"eagerness": "eager"},
    "model": {"name": "smollm2-135m", "threads": 1},
    "sampling": {"maxTokens": 24, "invokedMaxTokens": 24},
}


@define
class Editor:
    """A running Neovim with the plugin, its folder, and the record of what it sent to the server."""

    nvim: Any
    folder: Path
    display: str
    record: Record
    _files: int = field(default=0)

    def lua(self, expression: str, *arguments: Any) -> Any:
        """Evaluate a Lua expression."""
        return self.nvim.exec_lua(f"return {expression}", *arguments)

    def wait(self, what: str, look: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
        """Call ``look`` until it returns a true value, and return that."""
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            if value := look():
                return value
            time.sleep(0.05)
        report = self.report() if self.lua("package.loaded['fim_lsp'] ~= nil") else repr(self.text)
        raise AssertionError(f"never {what}; {report}")

    def report(self) -> str:
        """Describe the editor's state for the message of a failed test."""
        return json.dumps(
            {
                "lines": self.nvim.current.buffer[:],
                "cursor": self.nvim.current.window.cursor,
                "mode": self.nvim.api.get_mode(),
                "ghost": self.ghosts(),
                "status": self.status(),
                "messages": self.nvim.command_output("messages"),
                "log": self.lua("require('fim_lsp.log').lines()")[-10:],
                "sent": [message.get("method") for message in self.record.sent()][-12:],
            },
            ensure_ascii=False,
        )

    def open(self, marked: str, *, name: str = "", before: Sequence[str] = ()) -> Path:
        """Edit a new file in insert mode, with the cursor at █. ``before`` are commands to run first."""
        self._files += 1
        text = marked.replace("█", "")
        path = self.folder / (name or f"file{self._files}.py")
        path.write_bytes(text.encode())
        self.nvim.input("<C-\\><C-n>")
        for command in (*before, f"edit! {path}"):
            self.nvim.command(command)
        self.wait_ready()
        head = marked.split("█")[0].replace("\r\n", "\n")
        row, last = head.count("\n") + 1, head.rsplit("\n", 1)[-1]
        self.nvim.current.window.cursor = (row, len(last.encode()))
        at_end = not text.replace("\r\n", "\n")[len(head) :].split("\n")[0]
        self.nvim.input("A" if at_end else "i")
        self.wait("in insert mode", lambda: self.nvim.api.get_mode()["mode"] == "i")
        return path

    def wait_ready(self) -> None:
        self.wait("ready", lambda: self.state in ("ready", "busy", "off"))

    def type(self, keys: str) -> None:
        """Type keys in Neovim's notation, and wait until Neovim has processed them."""
        self.nvim.input(keys)
        self.nvim.eval("1")  # answered only when no typed key is left

    def ghosts(self) -> list[dict[str, Any]]:
        """Return the marks that draw ghost text in the current buffer."""
        return list(self.nvim.exec_lua(_GHOST))

    @property
    def ghost(self) -> str:
        """The shown ghost text; empty if there is none."""
        shown = self.ghosts()
        assert len(shown) <= 1, shown
        return shown[0]["text"] if shown else ""

    @property
    def acceptable(self) -> bool:
        """True if there is a suggestion to accept at the cursor."""
        return bool(self.lua("require('fim_lsp.display').at_cursor() ~= nil"))

    def wait_ghost(self) -> str:
        """Wait for ghost text that no later answer replaces, and return it without the count."""
        seen: list[str] = []

        def settled() -> bool:
            seen.append(self.nvim.exec_lua(_REMAINDER))
            return bool(seen[-1]) and seen[-12:] == 12 * seen[-1:]

        self.wait("ghost text that stays", settled)
        return _COUNT.sub("", self.ghost, count=1)

    @property
    def text(self) -> str:
        return "\n".join(self.nvim.current.buffer[:])

    @property
    def offset(self) -> int:
        """Code points before the cursor."""
        row, col = self.nvim.current.window.cursor
        lines = self.nvim.current.buffer[:]
        return len("\n".join([*lines[: row - 1], lines[row - 1].encode()[:col].decode()]))

    def with_inserted(self, text: str) -> str:
        """Return the buffer's text with ``text`` inserted at the cursor."""
        before, offset = self.text, self.offset
        return before[:offset] + text + before[offset:]

    def wait_text(self, expected: str) -> None:
        """Wait until the buffer has a text."""
        self.wait(f"the text {expected!r}", lambda: self.text == expected, 20)

    def save(self, path: Path) -> bytes:
        """Write the file, and return its bytes."""
        self.type("<Esc>:write<CR>")
        self.wait("saved", lambda: not self.nvim.current.buffer.options["modified"], 20)
        return path.read_bytes()

    def server_pid(self) -> int:
        """Return the process id of the server that was started last."""
        return int(self.record.entries("start")[-1]["pid"])

    def configure(self, settings: dict[str, Any]) -> None:
        """Change the server's settings, and wait until it has fetched them."""
        fetched = self.record.settings_fetched()
        self.nvim.exec_lua("require('fim_lsp').configure(...)", settings)
        self.wait("the settings fetched", lambda: self.record.settings_fetched() > fetched)

    def status(self) -> str:
        """Return the text of the statusline component."""
        return str(self.lua("require('fim_lsp.statusline').text()"))

    @property
    def message(self) -> str:
        """The message of the server's last status."""
        return str(self.lua("require('fim_lsp.status').get().message"))

    @property
    def waits_for_enter(self) -> bool:
        """True if a message stopped the editor. It answers no other request until a key is pressed."""
        return bool(self.nvim.api.get_mode()["blocking"])

    @property
    def state(self) -> str:
        """The state as one word."""
        return str(self.lua("require('fim_lsp.statusline').state()"))


@contextmanager
def start(
    nvim: str, folder: Path, options: dict[str, Any] | None, *, init: str = "", display: str = "ghost"
) -> Iterator[Editor]:
    """Start Neovim without the user's configuration. ``options`` are those of setup; None for no setup."""
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "init.lua"
    setup = "" if options is None else "require('fim_lsp').setup(vim.json.decode(OPTIONS))\n"
    script.write_text(
        f"vim.opt.runtimepath:prepend({str(PLUGIN)!r})\nvim.o.swapfile = false\n{init}\n"
        + setup.replace("OPTIONS", f"[==[{json.dumps(options)}]==]"),
        encoding="utf-8",
    )
    environment = {f"XDG_{kind}_HOME": str(folder) for kind in ("CONFIG", "DATA", "STATE")}
    argv = [nvim, "--headless", "-n", "-i", "NONE", "-u", str(script)]
    with run(argv, folder, {**os.environ, **environment}, display=display) as editor:
        yield editor


@contextmanager
def run(
    argv: Sequence[str], folder: Path, environment: dict[str, str], *, display: str = "ghost"
) -> Iterator[Editor]:
    """Run Neovim until the end of the block. Its socket and record are in ``folder``."""
    address = str(folder / "nvim.sock")
    process = subprocess.Popen([*argv, "--listen", address], env=environment, stdin=subprocess.DEVNULL)
    try:
        child = _attach(address)
        # Wide, because a message that does not fit would wait for <Enter>.
        child.ui_attach(200, 40, rgb=True)
        yield Editor(child, folder, display, Record(_record_path(folder)))
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _attach(address: str) -> Any:
    for _ in range(600):
        with suppress(OSError):
            return pynvim.attach("socket", path=address)
        time.sleep(0.05)
    raise AssertionError("Neovim did not start.")


def plugin_options(folder: Path, display: str, **options: Any) -> dict[str, Any]:
    """Return options of setup for a recorded server; further ones replace them."""
    return {
        "cmd": server_command(folder),
        "settings": SETTINGS,
        "display": "auto" if display == "native" else display,
        **options,
    }


def server_command(folder: Path) -> list[str]:
    """Return the command of the real server, whose messages are recorded in ``folder``."""
    python = os.environ["FIM_LSP_PYTHON"]
    proxy = PLUGIN.parents[1] / "tests" / "editors" / "recording_proxy.py"
    return [python, str(proxy), str(_record_path(folder)), python, "-m", "fim_lsp", "--stdio"]


def _record_path(folder: Path) -> Path:
    return folder / "record.jsonl"
