"""Record the scene in a real VS Code: read the layout of the window, and take a screenshot."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import define, field
from playwright.sync_api import Browser, Page

from tests.editors.vscode.code_server import CodeServer, start
from tests.editors.vscode.workbench import Ghost, Workbench
from tools.pictures import scene
from tools.pictures.drawing import Box, Item, ScreenFrame, Word
from tools.pictures.icons import IconFonts
from tools.pictures.scene import AcceptedSuggestion, Recording

WIDTH, HEIGHT = 760, 470
THEMES = {"dark": "Default Dark Modern", "light": "Default Light Modern"}
_STEADY = 6
_PAGE = Path(__file__).with_name("page.js").read_text(encoding="utf-8")
# Without what takes room beside the editor, and what changes from one second to the next.
_ROOM: dict[str, Any] = {
    "workbench.activityBar.location": "hidden",
    "workbench.layoutControl.enabled": False,
    "window.menuBarVisibility": "hidden",
    "window.commandCenter": False,
    "editor.cursorBlinking": "solid",
    "breadcrumbs.enabled": False,
    "fimLsp.model.name": scene.MODEL,
    "fimLsp.feedback.enabled": False,
}


@define
class _PageWatcher:
    """Reads the page and keeps every screen with its time."""

    _page: Page
    _icons: IconFonts
    frames: list[ScreenFrame] = field(factory=list)

    def look(self) -> None:
        found = self._page.evaluate(_PAGE)
        items = tuple(item for element in found if (item := self._item(element)) is not None)
        self.frames.append(ScreenFrame(time.monotonic(), items))

    def look_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.look()
            self._page.wait_for_timeout(20)

    def _item(self, found: dict[str, Any]) -> Item | None:
        kind = found.pop("kind")
        if kind == "icon":
            return self._icons.icon(found)
        return Box(**found) if kind == "box" else Word(**found)


def _window(browser: Browser, server: CodeServer) -> Workbench:
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    page.route(lambda url: server.address not in url, lambda route: route.abort())
    workbench = Workbench(page, server)
    workbench.load()
    workbench.wait_for_status("Ready")
    workbench.type_until_requested()
    if page.locator(".part.sidebar").is_visible():
        workbench.press("Control+b")
    return workbench


def record(browser: Browser, root: Path, theme: str, screenshot: Path) -> Recording:
    """Type the scene and accept the suggestions.

    Args:
        browser: To open the window in.
        root: An empty folder, for VS Code's profile and files.
        theme: A key of ``THEMES``.
        screenshot: Where the browser's own picture of the last suggestion goes.
    """
    settings = {**_ROOM, "workbench.colorTheme": THEMES[theme]}
    with start(root, settings=settings, files={**scene.OTHER_FILES, scene.FILE: ""}) as server:
        workbench = _window(browser, server)
        workbench.open(scene.FILE, scene.MARKED)
        workbench.press(*["Control+ArrowUp"] * scene.MARKED.count("\n"))
        watcher = _PageWatcher(workbench.page, IconFonts(_vscode()))
        workbench.page.wait_for_timeout(scene.READING_S * 1000)
        watcher.look()
        suggestions = list(_play(workbench, watcher, screenshot))
        watcher.look_for(scene.READING_S)
        workbench.page.close()
    return Recording(watcher.frames, suggestions, _version())


def _play(workbench: Workbench, watcher: _PageWatcher, screenshot: Path) -> Iterator[AcceptedSuggestion]:
    for key in scene.TYPED:
        workbench.type(key, every_ms=0)
        watcher.look_for(scene.EVERY_S)
    for number in range(scene.SUGGESTIONS):
        ghost = _settled(workbench, watcher)
        watcher.look_for(scene.READING_S)
        if number == scene.STILL:
            workbench.screenshot(screenshot)
        yield AcceptedSuggestion(ghost.text, time.monotonic())
        workbench.press("Tab")


def _settled(workbench: Workbench, watcher: _PageWatcher) -> Ghost:
    """Wait for ghost text that stays, as ``wait_for_ghost`` does, and keep every screen meanwhile."""
    looks: list[Ghost | None] = []

    def look() -> Ghost | None:
        watcher.look()
        looks.append(workbench.ghost())
        return looks[-1] if looks[-_STEADY:] == _STEADY * looks[-1:] else None

    return workbench.until(look, "ghost text that stays")


def _vscode() -> Path:
    return Path(os.environ["FIM_LSP_CODE_SERVER"]) / "node_modules/code-server/lib/vscode"


def _version() -> str:
    package = json.loads((_vscode() / "package.json").read_text(encoding="utf-8"))
    return f"VS Code {package['version']}"
