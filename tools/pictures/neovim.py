"""Record the scene in a real Neovim: attach a second user interface, which receives what to paint."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pynvim
from attrs import define, evolve, field

from tests.editors.neovim.editor import Editor, server_command, start
from tests.editors.repository import write_repository
from tools.pictures import scene
from tools.pictures.drawing import ScreenFrame
from tools.pictures.neovim_screen import Cells, Screen
from tools.pictures.scene import AcceptedSuggestion, Recording

CELLS = Cells()
COLUMNS, ROWS = 76, 23
_INIT = """
vim.o.background = '{background}'
vim.o.number = true
vim.o.shortmess = 'atFIW'
vim.o.statusline = [[ %t %m%=%{{v:lua.require'fim_lsp.statusline'.text()}}   %l:%c ]]
"""


@define
class Watcher:
    """A user interface that keeps every screen with its time."""

    every_s: float = 0.0
    """Seconds between two screens. One that comes sooner replaces the one before."""
    frames: list[ScreenFrame] = field(factory=list)
    screen: Screen = field(factory=Screen)

    def notified(self, method: str, batches: Sequence[Sequence[Any]]) -> None:
        """Apply the redraw events of one notification to the screen."""
        if method != "redraw":
            return
        for name, *calls in batches:
            for arguments in calls:
                self.screen.redraw(name, arguments)
            if name == "flush":
                self._keep(ScreenFrame(time.monotonic(), self.screen.items(CELLS)))

    def _keep(self, frame: ScreenFrame) -> None:
        if self.frames and frame.at_s - self.frames[-1].at_s < self.every_s:
            self.frames[-1] = evolve(frame, at_s=self.frames[-1].at_s)
        else:
            self.frames.append(frame)


@contextmanager
def watching(address: Path, columns: int = COLUMNS, rows: int = ROWS) -> Iterator[Watcher]:
    """Attach as one more terminal. Neovim draws for the smallest one."""
    watcher = Watcher()
    ready = threading.Event()
    loop: list[Any] = []

    def attend() -> None:
        ui = pynvim.attach("socket", path=str(address))
        loop.append(ui)

        def attach() -> None:
            ui.ui_attach(columns, rows, rgb=True, ext_linegrid=True)
            ready.set()

        ui.run_loop(lambda *_: None, watcher.notified, attach)

    thread = threading.Thread(target=attend)
    thread.start()
    try:
        if not ready.wait(60):
            raise TimeoutError("Neovim took no second user interface.")
        yield watcher
    finally:
        loop[0].async_call(loop[0].stop_loop)
        thread.join()


def record(nvim: str, folder: Path, background: str) -> Recording:
    """Type the scene and accept the suggestions.

    Args:
        nvim: The program.
        folder: For the editor's files; made here.
        background: ``dark`` or ``light``.
    """
    write_repository(folder)
    options = {
        "cmd": server_command(folder),
        "settings": {"model": {"name": scene.MODEL}, "feedback": {"enabled": False}},
        "display": "ghost",
    }
    with (
        start(nvim, folder, options, init=_INIT.format(background=background)) as editor,
        watching(folder / "nvim.sock") as watcher,
    ):
        # So that the statusline shows a short path.
        editor.nvim.command(f"cd {folder}")
        editor.open(scene.MARKED, name=scene.FILE)
        editor.wait("ready", lambda: editor.state == "ready")
        time.sleep(scene.READING_S)
        suggestions = list(_play(editor))
        time.sleep(scene.READING_S)
        name = version(editor)
    began = suggestions[0].until_s - scene.READING_S - len(scene.TYPED) * scene.EVERY_S - 2 * scene.READING_S
    first = [frame for frame in watcher.frames if frame.at_s < began][-1:]
    return Recording([*first, *(frame for frame in watcher.frames if frame.at_s >= began)], suggestions, name)


def _play(editor: Editor) -> Iterator[AcceptedSuggestion]:
    for key in scene.TYPED:
        editor.type(key)
        time.sleep(scene.EVERY_S)
    for _ in range(scene.SUGGESTIONS):
        text = editor.wait_ghost()
        time.sleep(scene.READING_S)
        yield AcceptedSuggestion(text, time.monotonic())
        wanted = editor.with_inserted(text)
        editor.type("<Tab>")
        editor.wait_text(wanted)


def version(editor: Editor) -> str:
    """Return the editor's name and version."""
    return str(editor.nvim.command_output("version")).strip().splitlines()[0].replace("NVIM v", "Neovim ")
