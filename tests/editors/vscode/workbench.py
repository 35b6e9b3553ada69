"""A window of VS Code: type keys, and read what is on the screen."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from attrs import frozen
from playwright.sync_api import Page

from .code_server import CodeServer

T = TypeVar("T")
INLINE = "textDocument/inlineCompletion"
LONG_S = 120.0
"""Longest wait for an expected change; long, because a busy machine is slow."""

# Ghost text on the cursor's line is part of the line; its other lines are in a separate widget below.
_SCREEN = """() => {
  const GHOST = ".ghost-text-decoration, .ghost-text-decoration-preview";
  const plain = (node) => node.textContent.replaceAll("\\u00a0", " ").replace(/[\\u200b\\u200c]/g, "");
  const editor = document.querySelector(".editor-instance .monaco-editor");
  const cursor = editor?.querySelector(".cursors-layer .cursor");
  if (!cursor) return null;
  const lines = [...editor.querySelectorAll(".view-lines > .view-line")];
  const line = lines.find((candidate) => candidate.style.top === cursor.style.top)?.cloneNode(true);
  if (!line) return null;
  const inline = [...line.querySelectorAll(GHOST)];
  const below = [...editor.querySelectorAll(".suggest-preview-text .view-line")];
  inline.forEach((span) => span.remove());
  return {
    line: plain(line),
    ghost: [inline.map(plain).join(""), ...below.map(plain)],
    shown: inline.length + below.length > 0,
  };
}"""
_TOAST = ".notifications-toasts .notification-toast"
_ROW = ".quick-input-widget .quick-input-list .monaco-list-row"
_STATUS = """() => {
  const item = document.querySelector("[id*='fimLsp.status']");
  return {
    text: item.innerText.trim(),
    icons: [...item.querySelectorAll(".codicon")].map((icon) => icon.className).join(" "),
    about: (item.querySelector("[aria-label]") ?? item).getAttribute("aria-label") ?? "",
    class: item.className,
  };
}"""
_WATCH = f"""() => {{
  const screen = {_SCREEN};
  window.seen = [];
  const look = () => {{
    const now = screen();
    const last = window.seen[window.seen.length - 1];
    if (now?.shown && JSON.stringify(now) !== JSON.stringify(last)) window.seen.push(now);
    window.watching = requestAnimationFrame(look);
  }};
  look();
}}"""


@frozen
class Ghost:
    """Ghost text on the screen."""

    line: str
    """The text of the cursor's line without the ghost."""
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class Workbench:
    """A window. Files are opened, edited and saved by keys only."""

    def __init__(self, page: Page, server: CodeServer) -> None:
        self.page = page
        self.server = server
        self.file = server.workspace / "none"
        self.changed: dict[str, Any] = {}

    def load(self) -> None:
        """Open the workspace, and wait until the extension is active."""
        folder = quote(str(self.server.workspace))
        self.page.goto(f"http://{self.server.address}/?folder={folder}", timeout=LONG_S * 1000)
        self.page.wait_for_selector("#fimLsp\\.status, [id*='fimLsp.status']", timeout=LONG_S * 1000)

    def type_until_requested(self) -> None:
        """Type until the first request is sent.

        VS Code creates the part that requests inline suggestions when it is idle after the first editor was
        opened. On a busy machine that takes seconds, and typing before that sends no request.
        """
        self.open("first.py")

        def requested() -> bool:
            self.type("x")
            self.page.wait_for_timeout(1000)
            return bool(self.requests())

        self.until(requested, "a request")
        self.close()

    def open(self, name: str, marked: str = "█", newline: str = "\n") -> None:
        """Write a file, open it, and put the cursor at █."""
        before, _, after = marked.partition("█")
        self.file = self.server.workspace / name
        self.file.write_text(before + after, encoding="utf-8", newline=newline)
        self.press("Control+p")
        box = self.page.wait_for_selector(".quick-input-widget input[type=text]")
        assert box is not None
        # Line and column follow the name; columns count UTF-16 units.
        row, column = before.count("\n") + 1, len(before.rpartition("\n")[2].encode("utf-16-le")) // 2 + 1
        box.fill(f"{self.file}:{row}:{column}")
        # Enter does nothing until the file is found.
        found = f".quick-input-list .monaco-list-row[aria-label*='{self.file.name}']"
        self.page.wait_for_selector(found, timeout=LONG_S * 1000)
        self.press("Enter")
        open_file = f".editor-instance .monaco-editor.focused[data-uri$='/{quote(name)}']"
        self.page.wait_for_selector(open_file, timeout=LONG_S * 1000)

    def close(self) -> None:
        """Close the file without saving it, and the notifications."""
        self.press("Escape")
        self.press("Control+Alt+Shift+c")
        self.press("Control+Alt+Shift+w")
        self.page.wait_for_function("!document.querySelector('.editor-instance .monaco-editor')")

    def type(self, text: str, every_ms: float = 30) -> None:
        self.page.keyboard.type(text, delay=every_ms)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def ghost(self) -> Ghost | None:
        """Return the shown ghost text, or None."""
        screen = self.page.evaluate(_SCREEN)
        return Ghost(screen["line"], tuple(screen["ghost"])) if screen and screen["shown"] else None

    def wait_for_ghost(self) -> Ghost:
        """Wait for ghost text that stays: the same one in two looks."""

        def steady() -> Ghost | None:
            first = self.ghost()
            self.page.wait_for_timeout(300)
            return first if first is not None and first == self.ghost() else None

        return self.until(steady, "ghost text")

    def wait_for_none(self) -> None:
        self.until(lambda: self.ghost() is None, "no ghost text")

    def watch(self) -> None:
        """Begin to record the ghost text of every frame."""
        self.page.evaluate(_WATCH)

    def seen(self) -> list[Ghost]:
        """Stop recording, and return each ghost text once, in order."""
        self.page.evaluate("() => cancelAnimationFrame(window.watching)")
        return [Ghost(look["line"], tuple(look["ghost"])) for look in self.page.evaluate("() => window.seen")]

    def saved(self) -> str:
        """Save the file, and return its text with its line ends."""
        self.press("Control+s")
        self.page.wait_for_function("!document.querySelector('.tab.active.dirty')")
        return self.file.read_bytes().decode("utf-8")

    def status(self) -> dict[str, str]:
        """Return the status bar item's text, icons, tooltip and class."""
        found: dict[str, str] = self.page.evaluate(_STATUS)
        return found

    def wait_for_status(self, words: str) -> dict[str, str]:
        """Wait until the status bar item's tooltip contains some words."""
        return self.until(
            lambda: status if words in (status := self.status())["about"] else None,
            lambda: f"{words!r} in the status bar, not {self.status()}",
        )

    def notifications(self) -> str:
        """Return the text of all notifications."""
        return "\n".join(self.page.locator(_TOAST).all_inner_texts())

    def notified(self, words: str) -> str:
        """Wait for a notification that contains some words, and return its text."""

        def look() -> str | None:
            texts = self.page.locator(_TOAST).all_inner_texts()
            return next((text for text in texts if words in text), None)

        return self.until(look, lambda: f"a notification of {words!r}, not {self.notifications()!r}")

    def answer(self, words: str, button: str) -> None:
        """Press a button of the notification that contains some words."""
        self.notified(words)
        toast = self.page.locator(_TOAST, has_text=words).first
        toast.get_by_role("button", name=button, exact=True).click()

    def entries(self) -> list[str]:
        """Wait for a picker, and return the texts of its rows."""
        self.page.wait_for_selector(_ROW, timeout=LONG_S * 1000)
        return [text.replace("\n", " ") for text in self.page.locator(_ROW).all_inner_texts()]

    def first_entry(self, words: str) -> str:
        """Wait until the first row of a picker contains some words, and return its text.

        The rows of the menu before it are still there for a moment.
        """

        def look() -> str | None:
            row = next(iter(self.entries()), "")
            return row if words in row else None

        return self.until(look, lambda: f"an entry {words!r} on top of {self.entries()!r}")

    def pick(self, words: str) -> None:
        """Wait for an entry of a picker, and choose it."""
        self.page.locator(_ROW, has_text=words).first.click(timeout=LONG_S * 1000)

    def choose_file(self, file: Path) -> None:
        """Choose a file in the file dialog, once it shows its folder."""
        box = self.page.locator(".quick-input-widget input[type=text]").first
        self.until(lambda: box.input_value().startswith("/") and self.entries(), "a file dialog")
        box.fill(str(file))
        self.page.locator(_ROW, has_text=file.name).first.wait_for(timeout=LONG_S * 1000)
        self.press("Enter")

    def menu(self, words: str) -> None:
        """Open the extension's menu and choose an entry."""
        self.press("Control+Alt+Shift+m")
        self.pick(words)

    def until(self, look: Callable[[], T | None], what: str | Callable[[], str]) -> T:
        """Call ``look`` until it returns a true value, and return that."""
        deadline = time.monotonic() + LONG_S
        while time.monotonic() < deadline:
            if found := look():
                return found
            self.page.wait_for_timeout(100)
        raise AssertionError(f"waited {LONG_S:.0f} s for {what if isinstance(what, str) else what()}")

    def settings(self, **extra: Any) -> None:
        """Set the workspace's settings, and wait until the server has them; ``__`` in a name is a dot."""
        settings = {key.replace("__", "."): value for key, value in extra.items()}
        record, fetched = self.server.record, self.server.record.settings_fetched()
        self.server.settings(settings)
        if self._for_server(settings) != self._for_server(self.changed):
            self.until(lambda: record.settings_fetched() > fetched, "the new settings")
        self.changed = settings

    @staticmethod
    def _for_server(settings: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in settings.items() if key.startswith("fimLsp.")}

    def requests(self) -> list[dict[str, Any]]:
        """Return the parameters of the requests for the open file."""
        return [
            params
            for params in self.server.record.sent_of(INLINE)
            if params["textDocument"]["uri"].endswith("/" + quote(self.file.name))
        ]

    def screenshot(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(path))


def as_text(value: Any) -> str:
    """Format a value for the message of a failed assertion."""
    return json.dumps(value, ensure_ascii=False, indent=1)
