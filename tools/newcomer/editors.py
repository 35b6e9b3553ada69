"""Start each editor as a newcomer does, type, accept the suggestion, and return it.

The drivers are imported where they are used, because each lives in an environment of its own.
"""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
import time
from contextlib import suppress
from pathlib import Path

from tools.newcomer.trial import SAMPLE, Home, TrialError

EVERY_S = 0.12
"""Between keys."""
PATIENCE_S = 120


def vscode(home: Home, keys: str) -> str:
    """VS Code with the settings that it comes with."""
    from tests.editors.record import Record
    from tests.editors.vscode.browser import chromium
    from tests.editors.vscode.code_server import CodeServer, profile, serve
    from tests.editors.vscode.workbench import Workbench

    log = home.root / "code-server.log"
    with (
        serve(profile(home.root / "vscode"), home.environment(), log) as address,
        chromium() as browser,
    ):
        page = browser.new_page(viewport={"width": 1100, "height": 700})
        page.route(lambda url: address not in url, lambda route: route.abort())
        workbench = Workbench(page, CodeServer(address, home.work, Record(home.root / "no-record")))
        workbench.load()
        trust = page.get_by_role("button", name="Yes, I trust the authors")
        with suppress(Exception):
            trust.click(timeout=15_000)
        workbench.wait_for_status("Ready")
        workbench.open(SAMPLE)
        workbench.type(keys, every_ms=EVERY_S * 1000)
        try:
            ghost = workbench.wait_for_ghost()
        finally:
            workbench.screenshot(home.root / "vscode.png")
        workbench.press("Tab")
        workbench.wait_for_none()
        workbench.press("Control+s")
        # Not saved(): with VS Code's own settings a file that is not written yet does not look dirty.
        workbench.until(lambda: ghost.text in workbench.file.read_text(encoding="utf-8"), "the file saved")
    return ghost.text


def neovim(home: Home, keys: str) -> str:
    """Neovim with the user's own init.lua."""
    from tests.editors.neovim.editor import run

    with run(["nvim", "--headless"], home.work, home.environment()) as editor:
        path = editor.open("█", name=SAMPLE)
        for key in keys:
            editor.type("<CR>" if key == "\n" else key)
            time.sleep(EVERY_S)
        text = editor.wait_ghost()
        wanted = editor.with_inserted(text)
        editor.type("<Tab>")
        editor.wait_text(wanted)
        editor.save(path)
    return text


def emacs(home: Home, keys: str) -> str:
    """Emacs in a terminal, which inserts the only entry of a menu at once.

    Raises:
        TrialError: Emacs inserted nothing.
    """
    file = home.work / SAMPLE
    ours, theirs = pty.openpty()
    environment = {**home.environment(), "TERM": "xterm-256color"}
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        ["emacs", "-nw", SAMPLE],
        env=environment,
        cwd=home.work,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        # Emacs opens /dev/tty, the terminal of its session.
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    # Emacs waits for a terminal whose output is not read.
    threading.Thread(target=_drain, args=(ours, home.root / "emacs.screen"), daemon=True).start()
    try:
        time.sleep(10)
        for key in keys.replace("\n", "\r"):
            os.write(ours, key.encode())
            time.sleep(EVERY_S)
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            os.write(ours, b"\x1b\t")
            time.sleep(5)
            os.write(ours, b"\x18\x13")
            time.sleep(1)
            if inserted := _behind(file, keys):
                return inserted
        raise TrialError("Emacs inserted nothing.")
    finally:
        process.terminate()
        process.wait(20)


def _behind(file: Path, keys: str) -> str:
    """Return the text behind the typed one in the file, with the lines compared without indentation."""
    if not file.exists():
        return ""
    written = "\n".join(line.lstrip() for line in file.read_text(encoding="utf-8").split("\n"))
    return written.removeprefix(keys).strip() if written.startswith(keys) else ""


def _drain(terminal: int, screen: Path) -> None:
    with screen.open("wb") as file, suppress(OSError):
        while read := os.read(terminal, 4096):
            file.write(read)
            file.flush()
